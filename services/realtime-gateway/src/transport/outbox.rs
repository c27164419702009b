//! What waits for one client. Bounded in bytes; knows neither sockets nor time.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use service_kit::Span;
use socketio_protocol::{Frame, engine::payload};
use tokio::io::AsyncWrite;

use super::{Class, Progress, Sent};

/// The most packets of one polling answer; python-engineio drops a session beyond.
const MAX_POLL_PACKETS: usize = 16;
/// The most frames of one write.
const MAX_SLICES: usize = 64;
/// What a queued frame costs beside its bytes.
const OVERHEAD: usize = 64;

/// How much may wait for one client.
#[derive(Debug, Clone, Copy)]
pub struct OutboxLimits {
    /// Bytes beyond which [`Class::Ephemeral`] and [`Class::Refillable`] frames are left out.
    pub soft: usize,
    /// Bytes beyond which the connection is closed.
    pub hard: usize,
}

impl OutboxLimits {
    /// Bytes down to which a client has to read before [`Class::Refillable`] frames go on.
    const fn low(self) -> usize {
        self.soft / 2
    }
}

/// The client is so far behind that its connection has to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overflow;

/// A queue of frames, without memory of its own while it is empty.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    frames: VecDeque<Queued>,
    /// What the frames cost.
    cost: usize,
    n_ephemeral: usize,
    /// Bytes of the first frame that are written.
    n_written: usize,
    /// Frames were thrown away unwritten.
    is_cut: bool,
    /// Those who wait for room.
    waiting: Option<Box<Waiting>>,
}

#[derive(Debug)]
struct Queued {
    frame: Frame,
    class: Class,
    /// Ends when it is written, and has failed when it never is.
    span: Span,
}

#[derive(Debug)]
struct Waiting {
    /// The cost at which they are woken.
    low: usize,
    wakers: Vec<Waker>,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Says what became of everything that was queued, as far as the queue knows.
    pub(super) fn progress(&self) -> Progress {
        if self.is_cut {
            Progress::Cut
        } else if self.is_empty() {
            Progress::Taken
        } else {
            Progress::Waiting
        }
    }

    /// Whether something else may be written without tearing a frame apart.
    pub(super) const fn is_at_boundary(&self) -> bool {
        self.n_written == 0
    }

    /// Queues frames that belong together.
    pub(super) fn push(
        &mut self,
        frames: &[Frame],
        class: Class,
        limits: OutboxLimits,
    ) -> Result<Sent, Overflow> {
        let added = frames.iter().map(cost).sum::<usize>();
        if self.cost + added > limits.soft {
            if class == Class::Ephemeral {
                return Ok(Sent::Dropped);
            }
            self.drop_ephemeral();
            // Else there is room, however long it is: who waits for room must get on.
            let is_behind = self.cost + added > limits.soft && limits.low() < self.cost;
            if is_behind && class == Class::Refillable {
                return Ok(Sent::Full);
            }
        }
        if self.cost + added > limits.hard {
            return Err(Overflow);
        }
        self.cost += added;
        if class == Class::Ephemeral {
            self.n_ephemeral += frames.len();
        }
        self.frames.extend(frames.iter().map(|frame| Queued {
            frame: frame.clone(),
            class,
            span: Span::NONE,
        }));
        Ok(Sent::Queued)
    }

    /// Has `span` last until the frame that was queued last is written.
    pub(super) fn trace_last(&mut self, mut span: Span) {
        if let Some(last) = self.frames.back_mut() {
            span.fail("unwritten");
            last.span = span;
        }
    }

    /// Takes what one polling answer carries, and `last` behind it.
    pub(super) fn take_payload(&mut self, last: Option<&Frame>) -> Bytes {
        let n = self
            .frames
            .len()
            .min(MAX_POLL_PACKETS - usize::from(last.is_some()));
        let body = payload::encode(
            self.frames
                .iter()
                .take(n)
                .map(|queued| &queued.frame)
                .chain(last),
        );
        for _ in 0..n {
            self.pop();
        }
        body
    }

    /// Writes frames until all are written, or `stream` takes no more.
    pub(super) fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.frames.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let mut skip = self.n_written;
            for (slice, queued) in slices.iter_mut().zip(&self.frames) {
                *slice = IoSlice::new(queued.frame.ws().get(skip..).unwrap_or_default());
                skip = 0;
            }
            let slices = slices.get(..self.frames.len()).unwrap_or(&slices);
            match ready!(Pin::new(&mut *stream).poll_write_vectored(cx, slices))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.advance(n),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Returns a value that changes with every byte written.
    pub(super) fn mark(&self) -> (usize, usize) {
        (self.frames.len(), self.n_written)
    }

    /// Waits until half of the soft limit is free.
    pub(super) fn poll_drained(&mut self, limits: OutboxLimits, cx: &Context<'_>) -> Poll<()> {
        let low = limits.low();
        if self.cost <= low {
            return Poll::Ready(());
        }
        let waiting = self.waiting.get_or_insert_with(|| {
            Box::new(Waiting {
                low,
                wakers: Vec::new(),
            })
        });
        waiting.wakers.push(cx.waker().clone());
        Poll::Pending
    }

    /// Wakes those who wait for room, whether there is or not.
    pub(super) fn wake(&mut self) {
        for waker in self.waiting.take().into_iter().flat_map(|all| all.wakers) {
            waker.wake();
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.wake();
        *self = Self {
            is_cut: self.is_cut || !self.is_empty(),
            ..Self::default()
        };
    }

    fn advance(&mut self, n: usize) {
        self.n_written += n;
        while let Some(first) = self.frames.front() {
            let len = first.frame.ws().len();
            if self.n_written < len {
                break;
            }
            self.n_written -= len;
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(mut first) = self.frames.pop_front() {
            self.cost -= cost(&first.frame);
            self.n_ephemeral -= usize::from(first.class == Class::Ephemeral);
            first.span.succeed();
        }
        if self.frames.is_empty() {
            self.frames = VecDeque::new();
        }
        if self
            .waiting
            .as_ref()
            .is_some_and(|all| self.cost <= all.low)
        {
            self.wake();
        }
    }

    fn drop_ephemeral(&mut self) {
        if self.n_ephemeral == 0 {
            return;
        }
        // The head may be half written.
        let mut is_torn = self.n_written > 0;
        self.frames.retain(|queued| {
            let is_head = std::mem::replace(&mut is_torn, false);
            is_head || queued.class != Class::Ephemeral
        });
        self.cost = self.frames.iter().map(|queued| cost(&queued.frame)).sum();
        self.n_ephemeral = self
            .frames
            .iter()
            .filter(|queued| queued.class == Class::Ephemeral)
            .count();
    }
}

fn cost(frame: &Frame) -> usize {
    frame.ws().len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        task::Wake,
    };

    use proptest::{collection::vec, prelude::*};

    use super::*;

    const LIMITS: OutboxLimits = OutboxLimits {
        soft: 1_000,
        hard: 2_000,
    };

    fn frame(len: usize) -> Frame {
        Frame::text(&"x".repeat(len))
    }

    /// Takes so many bytes at a time, and then none until the next round.
    struct Trickle {
        taken: Vec<u8>,
        room: usize,
    }

    impl AsyncWrite for Trickle {
        fn poll_write(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let bytes = slices
                .iter()
                .flat_map(|slice| slice.to_vec())
                .collect::<Vec<_>>();
            let n = bytes.len().min(std::mem::take(&mut self.room));
            self.taken.extend(&bytes[..n]);
            if n == 0 {
                Poll::Pending
            } else {
                Poll::Ready(Ok(n))
            }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn ephemeral_frames_are_left_out_over_the_soft_limit() {
        let mut outbox = Outbox::default();
        outbox.push(&[frame(800)], Class::Message, LIMITS).unwrap();

        let sent = outbox.push(&[frame(200)], Class::Ephemeral, LIMITS);

        assert_eq!(sent, Ok(Sent::Dropped));
    }

    #[test]
    fn ephemeral_frames_make_room_for_messages() {
        let mut outbox = Outbox::default();
        outbox
            .push(&[frame(800)], Class::Ephemeral, LIMITS)
            .unwrap();

        let sent = outbox.push(&[frame(1_500)], Class::Message, LIMITS);

        assert_eq!(sent, Ok(Sent::Queued));
        assert_eq!(outbox.frames.len(), 1);
    }

    #[test]
    fn a_frame_that_is_half_written_is_finished() {
        let mut outbox = Outbox::default();
        outbox
            .push(&[frame(100), frame(700)], Class::Ephemeral, LIMITS)
            .unwrap();
        let mut stream = Trickle {
            taken: Vec::new(),
            room: 10,
        };
        let mut cx = Context::from_waker(Waker::noop());
        assert!(outbox.poll_write(&mut stream, &mut cx).is_pending());

        outbox.push(&[frame(500)], Class::Message, LIMITS).unwrap();

        assert!(!outbox.is_at_boundary());
        assert_eq!(
            outbox.frames.len(),
            2,
            "the half-written one and the message"
        );
    }

    #[test]
    fn messages_over_the_hard_limit_overflow() {
        let mut outbox = Outbox::default();
        outbox
            .push(&[frame(1_500)], Class::Message, LIMITS)
            .unwrap();

        assert_eq!(
            outbox.push(&[frame(500)], Class::Message, LIMITS),
            Err(Overflow)
        );
    }

    #[test]
    fn what_can_be_got_again_is_left_out_over_the_soft_limit_unless_it_is_alone() {
        let mut outbox = Outbox::default();

        let first = outbox.push(&[frame(1_500)], Class::Refillable, LIMITS);
        let second = outbox.push(&[frame(1)], Class::Refillable, LIMITS);

        assert_eq!((first, second), (Ok(Sent::Queued), Ok(Sent::Full)));
    }

    #[test]
    fn who_waits_for_room_is_woken_when_half_of_it_is_free() {
        let mut outbox = Outbox::default();
        outbox
            .push(&[frame(300), frame(300)], Class::Refillable, LIMITS)
            .unwrap();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let cx = Context::from_waker(&waker);
        assert!(outbox.poll_drained(LIMITS, &cx).is_pending());
        let mut stream = Trickle {
            taken: Vec::new(),
            room: 10,
        };
        let _ = outbox.poll_write(&mut stream, &mut Context::from_waker(Waker::noop()));
        assert!(!woken.0.load(Ordering::SeqCst));

        stream.room = 300;
        let _ = outbox.poll_write(&mut stream, &mut Context::from_waker(Waker::noop()));

        assert!(woken.0.load(Ordering::SeqCst));
        assert!(outbox.poll_drained(LIMITS, &cx).is_ready());
    }

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn what_was_thrown_away_was_not_taken() {
        let mut outbox = Outbox::default();
        outbox.clear();
        assert_eq!(outbox.progress(), Progress::Taken);
        outbox.push(&[frame(1)], Class::Message, LIMITS).unwrap();
        assert_eq!(outbox.progress(), Progress::Waiting);

        outbox.clear();

        assert_eq!(outbox.progress(), Progress::Cut);
    }

    #[test]
    fn an_empty_outbox_holds_no_memory() {
        let mut outbox = Outbox::default();
        outbox
            .push(&[frame(1), frame(1)], Class::Message, LIMITS)
            .unwrap();

        outbox.take_payload(None);

        assert_eq!((outbox.frames.capacity(), outbox.cost), (0, 0));
    }

    proptest! {
        #[test]
        fn whatever_the_stream_takes_at_once_it_gets_every_frame_in_order(
            lens in vec(0_usize..300, 1..80),
            rooms in vec(1_usize..500, 1..20),
        ) {
            let limits = OutboxLimits { soft: usize::MAX, hard: usize::MAX };
            let frames = lens.into_iter().map(frame).collect::<Vec<_>>();
            let mut outbox = Outbox::default();
            outbox.push(&frames, Class::Message, limits).unwrap();
            let mut stream = Trickle { taken: Vec::new(), room: 0 };
            let mut cx = Context::from_waker(Waker::noop());

            for room in rooms.iter().cycle() {
                stream.room = *room;
                if outbox.poll_write(&mut stream, &mut cx).is_ready() {
                    break;
                }
            }

            let all = frames.iter().flat_map(|frame| frame.ws().to_vec()).collect::<Vec<_>>();
            prop_assert_eq!(stream.taken, all);
            prop_assert!(outbox.is_empty() && outbox.cost == 0);
        }
    }
}
