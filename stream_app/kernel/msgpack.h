/* msgpack, as frames and rows hold it: reading with bounds, and writing each integer in its shortest form; and numbers as text. */

#ifndef STREAM_APP_MSGPACK_H
#define STREAM_APP_MSGPACK_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const uint8_t *at;
    int64_t length; /* 0: there is none, for no id is empty */
} Text;

typedef struct {
    const uint8_t *at, *end;
} Cursor;

static inline int is_same(Text a, Text b) { return a.length == b.length && memcmp(a.at, b.at, (size_t)a.length) == 0; }

static inline uint64_t hash(Text t) {
    uint64_t h = UINT64_C(14695981039346656037);
    for (int64_t i = 0; i < t.length; i++) h = (h ^ t.at[i]) * UINT64_C(1099511628211);
    return h ^ h >> 32;
}

/* -- reading: 0 where something else stands there, or the end */

static inline int get_bytes(Cursor *c, int64_t length, Text *out) {
    if (c->end - c->at < length) return 0;
    *out = (Text){c->at, length};
    c->at += length;
    return 1;
}

static inline int get_big_endian(Cursor *c, int bytes, uint64_t *out) {
    if (c->end - c->at < bytes) return 0;
    for (*out = 0; bytes > 0; bytes--) *out = *out << 8 | *c->at++;
    return 1;
}

/* A header with a length: in its own lowest `short_bits`, or in so many bytes behind it, twice as many for each header beyond `first`. */
static inline int get_length(Cursor *c, int short_head, int short_bits, int first, int first_bytes, int64_t *out) {
    uint64_t length;
    if (c->at == c->end) return 0;
    int head = *c->at++;
    if (short_bits && head >> short_bits == short_head >> short_bits) {
        *out = head & ((1 << short_bits) - 1);
        return 1;
    }
    int more = head - first;
    if (more < 0 || more > 2 || first_bytes << more > 4) return 0;
    if (!get_big_endian(c, first_bytes << more, &length)) return 0;
    *out = (int64_t)length;
    return 1;
}

static inline int get_array(Cursor *c, int64_t *count) { return get_length(c, 0x90, 4, 0xdc, 2, count); }

static inline int get_map(Cursor *c, int64_t *count) { return get_length(c, 0x80, 4, 0xde, 2, count); }

static inline int get_text(Cursor *c, Text *out) {
    int64_t length;
    return get_length(c, 0xa0, 5, 0xd9, 1, &length) && get_bytes(c, length, out);
}

static inline int get_binary(Cursor *c, Text *out) {
    int64_t length;
    return get_length(c, 0, 0, 0xc4, 1, &length) && get_bytes(c, length, out);
}

static inline int get_nil(Cursor *c) {
    if (c->at == c->end || *c->at != 0xc0) return 0;
    c->at++;
    return 1;
}

/* An integer that 64 bits with a sign hold. */
static inline int get_integer(Cursor *c, int64_t *out) {
    uint64_t value;
    if (c->at == c->end) return 0;
    int head = *c->at;
    if (head < 0x80 || head >= 0xe0) {
        *out = (int8_t)head;
        c->at++;
        return 1;
    }
    if (head < 0xcc || head > 0xd3) return 0;
    int bytes = 1 << (head & 3);
    c->at++;
    if (!get_big_endian(c, bytes, &value)) return 0;
    if (head < 0xd0) {
        *out = (int64_t)value;
        return value <= INT64_MAX;
    }
    int unused = 64 - 8 * bytes;
    *out = (int64_t)(value << unused) >> unused;
    return 1;
}

/* Any one value. */
static inline int get_any(Cursor *c, Text *out) {
    static const int8_t bytes[] = {
        0, -1, 0, 0, /* nil, none, false, true */
        0, 0, 0, 0, 0, 0, 4, 8, /* binaries, extensions, floats */
        1, 2, 4, 8, 1, 2, 4, 8, /* integers */
        2, 3, 5, 9, 17, /* fixed extensions */
    };
    const uint8_t *from = c->at;
    for (int64_t left = 1; left > 0; left--) {
        uint64_t length = 0;
        if (c->at == c->end) return 0;
        int head = *c->at++;
        if (head < 0x80 || head >= 0xe0) continue;
        if (head < 0x90) {
            left += 2 * (head & 15);
        } else if (head < 0xa0) {
            left += head & 15;
        } else if (head < 0xc0) {
            length = (uint64_t)(head & 31);
        } else if (head >= 0xdc) {
            if (!get_big_endian(c, head & 1 ? 4 : 2, &length)) return 0;
            left += (int64_t)length * (head < 0xde ? 1 : 2);
            length = 0;
        } else if (head >= 0xd9) {
            if (!get_big_endian(c, 1 << (head - 0xd9), &length)) return 0;
        } else if (head >= 0xc4 && head <= 0xc9) {
            int is_extension = head >= 0xc7;
            if (!get_big_endian(c, 1 << (head - (is_extension ? 0xc7 : 0xc4)), &length)) return 0;
            length += (uint64_t)is_extension;
        } else {
            if (bytes[head - 0xc0] < 0) return 0;
            length = (uint64_t)bytes[head - 0xc0];
        }
        if ((uint64_t)(c->end - c->at) < length) return 0;
        c->at += length;
    }
    *out = (Text){from, c->at - from};
    return 1;
}

/* -- writing: who calls has made room */

typedef struct {
    uint8_t *at;
} Out;

static inline void byte(Out *o, int value) { *o->at++ = (uint8_t)value; }

static inline void big_endian(Out *o, uint64_t value, int bytes) {
    while (bytes-- > 0) byte(o, (int)(value >> 8 * bytes & 0xff));
}

static inline void put_integer(Out *o, int64_t value) {
    static const int bytes[] = {1, 2, 4, 8};
    if (value >= -32 && value < 128) {
        byte(o, (int)(value & 0xff));
        return;
    }
    int size = 0;
    if (value >= 0) {
        while (size < 3 && value >> 8 * bytes[size]) size++;
        byte(o, 0xcc + size);
    } else {
        while (size < 3 && value < -(INT64_C(1) << (8 * bytes[size] - 1))) size++;
        byte(o, 0xd0 + size);
    }
    big_endian(o, (uint64_t)value, bytes[size]);
}

static inline void put_nil(Out *o) { byte(o, 0xc0); }

static inline void put_bytes(Out *o, Text t) {
    memcpy(o->at, t.at, (size_t)t.length);
    o->at += t.length;
}

/* Of 255 bytes at most. */
static inline void put_text(Out *o, Text t) {
    if (t.length == 0) {
        put_nil(o);
        return;
    }
    if (t.length < 32) {
        byte(o, 0xa0 | (int)t.length);
    } else {
        byte(o, 0xd9);
        byte(o, (int)t.length);
    }
    put_bytes(o, t);
}

static inline void put_count(Out *o, int64_t count, int short_head, int head) {
    if (count < 16) {
        byte(o, short_head | (int)count);
    } else if (count < 1 << 16) {
        byte(o, head);
        big_endian(o, (uint64_t)count, 2);
    } else {
        byte(o, head + 1);
        big_endian(o, (uint64_t)count, 4);
    }
}

static inline void put_array(Out *o, int64_t count) { put_count(o, count, 0x90, 0xdc); }

static inline void put_map(Out *o, int64_t count) { put_count(o, count, 0x80, 0xde); }

/* -- numbers as text */

static inline void put_digits(Out *o, uint64_t number, int least) {
    uint8_t digits[20];
    int count = 0;
    while (number > 0 || count < least) {
        digits[count++] = (uint8_t)('0' + number % 10);
        number /= 10;
    }
    while (count > 0) byte(o, digits[--count]);
}

static inline void put_number(Out *o, int64_t number) {
    if (number < 0) byte(o, '-');
    put_digits(o, number < 0 ? -(uint64_t)number : (uint64_t)number, 1);
}

#endif
