//! Inputs made of inputs, the same each time.

use std::{fs, path::Path};

/// How many inputs are made of each in the corpus.
const PER_SEED: usize = 400;
/// The longest input.
const MAX_LEN: usize = 8_192;

/// Pieces that mean something to one parser or another.
const DICTIONARY: [&[u8]; 30] = [
    b"[",
    b"]",
    b"{",
    b"}",
    b"\"",
    b",",
    b":",
    b"-",
    b".",
    b"/",
    b"\\",
    b"%",
    b"=",
    b"&",
    b"\x1e",
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"null",
    b"1e400",
    b"-0",
    b"18446744073709551616",
    b"\"\\ud800\"",
    b"{\"_placeholder\":true,\"num\":",
    b"/chat,",
    b"451-",
    b"42",
    b"\x08\xff\xff\xff\xff\xff\xff\x01",
    b"PING\r\n",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
];

/// A source of chance whose numbers are the same each time (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end.max(1) as u64).unwrap()
    }
}

/// Reads the files of a folder of the repository, in the order of their names.
pub(crate) fn corpus(folder: &str) -> Vec<Vec<u8>> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files: Vec<_> = fs::read_dir(repository.join(folder))
        .unwrap_or_else(|error| panic!("{folder}: {error}"))
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} is empty");
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Hands the inputs to `target`, as they are and mutated. A panic says which input it was.
pub(crate) fn feed(seeds: &[Vec<u8>], target: impl Fn(&[u8])) {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    for seed in seeds {
        run(seed, &target);
        for _ in 0..PER_SEED {
            let mut input = seed.clone();
            for _ in 0..=dice.below(4) {
                mutate(&mut input, seeds, &mut dice);
            }
            input.truncate(MAX_LEN);
            run(&input, &target);
        }
    }
}

fn run(input: &[u8], target: &impl Fn(&[u8])) {
    struct Tell<'a>(&'a [u8]);

    impl Drop for Tell<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the input: {}", self.0.escape_ascii());
            }
        }
    }

    let tell = Tell(input);
    target(input);
    drop(tell);
}

fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.below(input.len() + 1);
    match dice.below(7) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
        }
        1 => input.truncate(at),
        2 => {
            let piece = DICTIONARY[dice.below(DICTIONARY.len())];
            input.splice(at..at, piece.iter().copied());
        }
        3 => {
            let end = at + dice.below(input.len() - at + 1);
            input.drain(at..end);
        }
        4 => {
            let end = at + dice.below(input.len() - at + 1);
            let again: Vec<u8> = input[at..end].repeat(1 + dice.below(16));
            input.splice(at..at, again);
        }
        5 => {
            let other = &seeds[dice.below(seeds.len())];
            let from = dice.below(other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        _ => {
            let byte = u8::try_from(dice.below(256)).unwrap();
            input.insert(at, byte);
        }
    }
}
