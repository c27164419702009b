#!/bin/sh
# Makes an nkey for a user of NATS, and prints its seed, which is secret, and then its public half, by
# which the server knows the user. Needs openssl 1.1.1 or newer (OPENSSL names another one).
set -eu
umask 077

# Prints bytes, given in hexadecimal, as nkeys are written: with their CRC-16, in base32.
encode() {
    crc=0 rest=$1
    while [ -n "$rest" ]; do
        crc=$((crc ^ 0x${rest%"${rest#??}"} << 8)) rest=${rest#??}
        for _ in 1 2 3 4 5 6 7 8; do
            crc=$(((crc << 1 ^ (crc >> 15 & 1) * 0x1021) & 0xffff))
        done
    done
    rest=$1$(printf '%02x%02x' $((crc & 255)) $((crc >> 8)))
    bits=0 n=0
    while [ -n "$rest" ]; do
        bits=$((bits << 8 | 0x${rest%"${rest#??}"})) n=$((n + 8)) rest=${rest#??}
        while [ $n -ge 5 ]; do
            n=$((n - 5))
            digit $((bits >> n & 31))
            bits=$((bits & (1 << n) - 1))
        done
    done
    [ $n -eq 0 ] || digit $((bits << 5 - n & 31))
    echo
}

# 0 to 31 are A to Z and 2 to 7.
digit() { printf "\\$(printf %03o $(($1 < 26 ? $1 + 65 : $1 + 24)))"; }

binary() {
    rest=$1
    while [ -n "$rest" ]; do
        printf "\\$(printf %03o 0x"${rest%"${rest#??}"}")"
        rest=${rest#??}
    done
}

hexadecimal() { od -An -v -tx1 | tr -d ' \n'; }

private=$(od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n')
# The private key as openssl takes it (RFC 8410); what it gives ends in the public one.
public=$(binary "302e020100300506032b657004220420$private" |
    "${OPENSSL:-openssl}" pkey -inform DER -pubout -outform DER | tail -c 32 | hexadecimal)
[ ${#public} -eq 64 ] || { echo "nkey.sh: openssl knows no Ed25519" >&2; exit 1; }
encode "9500$private"
encode "a0$public"
