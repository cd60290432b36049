"""BLAKE2b of one short block under one key, for digests of up to 64 bytes.

What `hashlib.blake2b(data, digest_size=n, key=key).digest()` returns, without the interpreter: ids
are hashed by the ten thousand. Source: RFC 7693.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, memset

from otlp_capture.otlp.kernel.wire cimport read_fixed64, write_fixed64

cdef extern from *:
    """
    static const uint64_t BLAKE2B_INITIAL[8] = {
        0x6a09e667f3bcc908u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu, 0xa54ff53a5f1d36f1u,
        0x510e527fade682d1u, 0x9b05688c2b3e6c1fu, 0x1f83d9abfb41bd6bu, 0x5be0cd19137e2179u,
    };
    """
    const uint64_t[8] BLAKE2B_INITIAL

cdef enum:
    BLOCK_BYTES = 128
    MAX_DIGEST_BYTES = 64

cdef struct KeyedHash:
    uint64_t[8] state               # after the block that holds the key
    int digest_bytes


cdef inline uint64_t rotated(uint64_t word, int bits) noexcept nogil:
    return word >> bits | word << (64 - bits)


cdef inline void mix(
    uint64_t* v, int a, int b, int c, int d, uint64_t x, uint64_t y
) noexcept nogil:
    v[a] = v[a] + v[b] + x
    v[d] = rotated(v[d] ^ v[a], 32)
    v[c] = v[c] + v[d]
    v[b] = rotated(v[b] ^ v[c], 24)
    v[a] = v[a] + v[b] + y
    v[d] = rotated(v[d] ^ v[a], 16)
    v[c] = v[c] + v[d]
    v[b] = rotated(v[b] ^ v[c], 63)


cdef inline void mix_all(
    uint64_t* v, const uint64_t* words,
    int a, int b, int c, int d, int e, int f, int g, int h,
    int i, int j, int k, int l, int m, int n, int o, int p,
) noexcept nogil:
    """One round: the columns, then the diagonals, with the words in the order that is given."""
    mix(v, 0, 4, 8, 12, words[a], words[b])
    mix(v, 1, 5, 9, 13, words[c], words[d])
    mix(v, 2, 6, 10, 14, words[e], words[f])
    mix(v, 3, 7, 11, 15, words[g], words[h])
    mix(v, 0, 5, 10, 15, words[i], words[j])
    mix(v, 1, 6, 11, 12, words[k], words[l])
    mix(v, 2, 7, 8, 13, words[m], words[n])
    mix(v, 3, 4, 9, 14, words[o], words[p])


cdef inline void compress(
    uint64_t* state, const uint64_t* words, uint64_t total_bytes, bint is_last
) noexcept nogil:
    """Take in a block of sixteen words. Unrolled, so that words known to be zero cost nothing."""
    cdef uint64_t[16] v
    cdef int at
    for at in range(8):
        v[at] = state[at]
        v[at + 8] = BLAKE2B_INITIAL[at]
    v[12] ^= total_bytes
    if is_last:
        v[14] = ~v[14]
    mix_all(v, words, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    mix_all(v, words, 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3)
    mix_all(v, words, 11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4)
    mix_all(v, words, 7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8)
    mix_all(v, words, 9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13)
    mix_all(v, words, 2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9)
    mix_all(v, words, 12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11)
    mix_all(v, words, 13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10)
    mix_all(v, words, 6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5)
    mix_all(v, words, 10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0)
    mix_all(v, words, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    mix_all(v, words, 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3)
    for at in range(8):
        state[at] ^= v[at] ^ v[at + 8]


cdef inline void read_words(
    uint64_t* words, const uint8_t* data, int data_bytes
) noexcept nogil:
    """Read a block of at most 128 bytes; what is missing is zero."""
    cdef uint8_t[BLOCK_BYTES] block
    cdef int at
    memset(block, 0, BLOCK_BYTES)
    memcpy(block, data, data_bytes)
    for at in range(16):
        words[at] = read_fixed64(block + 8 * at)


cdef inline void start_keyed(
    KeyedHash* hash, const uint8_t* key, int key_bytes, int digest_bytes
) noexcept nogil:
    """Take in a key of 1 to 64 bytes, for digests of 1 to 64 bytes."""
    cdef uint64_t[16] words
    read_words(words, key, key_bytes)
    memcpy(hash.state, BLAKE2B_INITIAL, sizeof(hash.state))
    hash.state[0] ^= 0x01010000 ^ (key_bytes << 8) ^ digest_bytes
    hash.digest_bytes = digest_bytes
    compress(hash.state, words, BLOCK_BYTES, False)


cdef inline void digest(
    const KeyedHash* hash, const uint8_t* data, int data_bytes, uint8_t* out
) noexcept nogil:
    """Hash 1 to 128 bytes into the digest's bytes of *out*."""
    cdef uint8_t[MAX_DIGEST_BYTES] whole
    cdef uint64_t[16] words
    cdef uint64_t[8] state
    cdef int at
    read_words(words, data, data_bytes)
    memcpy(state, hash.state, sizeof(state))
    compress(state, words, BLOCK_BYTES + data_bytes, True)
    for at in range(8):
        write_fixed64(whole + 8 * at, state[at])
    memcpy(out, whole, hash.digest_bytes)


cdef inline void digest_words(
    const KeyedHash* hash, uint64_t low, uint64_t high, int data_bytes, uint64_t* out
) noexcept nogil:
    """Hash 1 to 16 bytes, given as two words, into the first two words of the digest."""
    cdef uint64_t[16] words
    cdef uint64_t[8] state
    cdef int at
    words[0] = low
    words[1] = high
    for at in range(2, 16):
        words[at] = 0
    memcpy(state, hash.state, sizeof(state))
    compress(state, words, BLOCK_BYTES + data_bytes, True)
    out[0] = state[0]
    out[1] = state[1]
