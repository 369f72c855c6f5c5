/* Records of Avro and Protobuf by the types of their schema (ports/map_program.py): what stands at the places of a map, as the JSON of the same record would have it. What the
 * schema does not surely allow, and what is unusual, is not read. */

#ifndef STREAM_APP_SCHEMAS_H
#define STREAM_APP_SCHEMAS_H

#include "json.h"

#define MOMENT 'T'             /* what a time begins with that is milliseconds since 1970, which JSON has as text */
#define SAID_BYTES 40          /* that are written of a place, at most, besides a text that the record itself has */
#define DECIMAL_BYTES_MAX 1000 /* as in sources/avro_values.py */
#define TAG_BYTES_MAX 5

/* Kind and flags of ports/map_program.py. */
enum { NOTHING, BOOLEAN, INTEGER, ZIGZAG, TIME, DOUBLE, STRING, BYTES, DECIMAL, FIXED, WORD, ENUM, RECORD, UNION, ARRAY, MAP, MESSAGES, UNKNOWN };
enum { REPEATED = 1, HAS_DEFAULT = 2, ONE_OF = 4 };
enum { VARINT, EIGHT_BYTES, WITH_LENGTH, FOUR_BYTES = 5 }; /* Protobuf's wire types */

/* See ports/map_program.py. `place`: -1 where a map does not read it. */
typedef struct {
    int64_t kind, place, first, count, number, flags;
} Type;

typedef struct {
    const Type *types;
    const uint8_t *texts;
    Text *places;
    Out said;                /* where what places hold is written, as far as the record does not have it as JSON would */
    Text inner;              /* the record that stands at a place, as before a change, */
    const Type *inner_type;  /* and its type; NULL: there is none */
    int64_t passing;         /* above 0: what is read stands at no place, whatever its type says */
} Typed;

/* -- what stands at places */

static inline int is_wanted(const Typed *t, const Type *type) { return type->place >= 0 && !t->passing; }

/* 0 where something stands there already. */
static inline int say(Typed *t, const Type *type, Text found) {
    if (!is_wanted(t, type)) return 1;
    if (t->places[type->place].length) return 0;
    t->places[type->place] = found;
    return 1;
}

/* What has been written since `from`. */
static inline int say_written(Typed *t, const Type *type, const uint8_t *from) { return say(t, type, (Text){from, t->said.at - from}); }

static inline int say_boolean(Typed *t, const Type *type, int is_true) { return say(t, type, is_true ? (Text){(const uint8_t *)"true", 4} : (Text){(const uint8_t *)"false", 5}); }

static inline int say_integer(Typed *t, const Type *type, int64_t number) {
    const uint8_t *from = t->said.at;
    if (!is_wanted(t, type)) return 1;
    if (number < 0) return 0;
    put_number(&t->said, number);
    return say_written(t, type, from);
}

static inline int say_time(Typed *t, const Type *type, int64_t ms) {
    const uint8_t *from = t->said.at;
    if (!is_wanted(t, type)) return 1;
    if (ms < 0 || ms > LAST_MS) return 0;
    byte(&t->said, MOMENT);
    put_number(&t->said, ms);
    return say_written(t, type, from);
}

/* A number of so many digits, of which the last `scale` stand behind the point. */
static inline int say_digits(Typed *t, const Type *type, int64_t number, int64_t scale) {
    const uint8_t *from = t->said.at;
    int64_t power = 1;
    if (number < 0 || scale > MOST_DIGITS) return 0;
    for (int64_t i = 0; i < scale; i++) power *= 10;
    put_number(&t->said, number / power);
    if (scale) {
        byte(&t->said, '.');
        put_digits(&t->said, (uint64_t)(number % power), (int)scale);
    }
    return say_written(t, type, from);
}

/* An unscaled number, big-endian. */
static inline int say_decimal(Typed *t, const Type *type, Text unscaled, int64_t scale) {
    int64_t number = 0;
    if (!is_wanted(t, type)) return 1;
    if (unscaled.length > 7) return 0;
    for (int64_t i = 0; i < unscaled.length; i++) number = number << 8 | unscaled.at[i];
    return (unscaled.length == 0 || unscaled.at[0] < 0x80) && say_digits(t, type, number, scale);
}

/* A number whose shortest form has four digits behind the point at most. With fifteen digits in all no two texts are of one number. */
static inline int say_double(Typed *t, const Type *type, const uint8_t *at) {
    uint64_t bits = 0;
    double value, power = 1;
    if (!is_wanted(t, type)) return 1;
    for (int i = 7; i >= 0; i--) bits = bits << 8 | at[i];
    memcpy(&value, &bits, 8);
    if (bits >> 63 || !(value < 1e11)) return 0;
    for (int scale = 0; scale <= 4; scale++, power *= 10) {
        int64_t number = (int64_t)(value * power + 0.5);
        if ((double)number / power == value) return say_digits(t, type, scale ? number : 10 * number, scale ? scale : 1);
    }
    return 0;
}

static inline int say_string(Typed *t, const Type *type, Text found) {
    if (!is_wanted(t, type)) return is_utf8(found);
    const uint8_t *from = t->said.at;
    byte(&t->said, '"');
    for (int64_t i = 0; i < found.length; i++) {
        if (found.at[i] < 0x20 || found.at[i] > 0x7e || found.at[i] == '"' || found.at[i] == '\\') return 0;
        byte(&t->said, found.at[i]);
    }
    byte(&t->said, '"');
    return say_written(t, type, from);
}

/* A word of an enum, in quotes as the texts have it. */
static inline int say_word(Typed *t, const Type *type, const Type *word) { return say(t, type, (Text){t->texts + word->first, word->count}); }

/* A record as a whole. */
static inline int say_record(Typed *t, const Type *type, Text record) {
    t->inner = record;
    t->inner_type = type;
    return say(t, type, (Text){(const uint8_t *)"{", 1});
}

/* -- Avro */

static int avro(Typed *t, Cursor *c, const Type *type, int depth);

/* A number in zigzag, of 63 bits. */
static inline int avro_integer(Cursor *c, int64_t *out) {
    uint64_t value = 0;
    for (int shift = 0; shift < 63; shift += 7) {
        if (c->at == c->end) return 0;
        uint64_t part = *c->at++;
        value |= (part & 0x7f) << shift;
        if (part < 0x80) {
            *out = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
            return 1;
        }
    }
    return 0;
}

static inline int avro_bytes(Cursor *c, Text *out) {
    int64_t length;
    return avro_integer(c, &length) && length >= 0 && get_bytes(c, length, out);
}

static int avro_fields(Typed *t, Cursor *c, const Type *type, int depth) {
    for (int64_t i = 0; i < type->count; i++)
        if (!avro(t, c, t->types + type->first + i, depth + 1)) return 0;
    return 1;
}

static int avro_record(Typed *t, Cursor *c, const Type *type, int depth) {
    if (!is_wanted(t, type)) return avro_fields(t, c, type, depth);
    const uint8_t *from = c->at;
    t->passing++;
    if (!avro_fields(t, c, type, depth)) return 0;
    t->passing--;
    return say_record(t, type, (Text){from, c->at - from});
}

/* The items of an array, or those of a map behind their keys: each takes a byte at least. */
static int avro_blocks(Typed *t, Cursor *c, const Type *type, int depth) {
    int64_t count, size;
    Text key;
    do {
        if (!avro_integer(c, &count)) return 0;
        if (count < 0) {
            if (!avro_integer(c, &size)) return 0;
            count = -count;
        }
        if (count > c->end - c->at) return 0;
        for (int64_t i = 0; i < count; i++) {
            if (type->kind == MAP && !(avro_bytes(c, &key) && is_utf8(key))) return 0;
            if (!avro(t, c, t->types + type->first, depth + 1)) return 0;
        }
    } while (count > 0);
    return 1;
}

static int avro(Typed *t, Cursor *c, const Type *type, int depth) {
    int64_t number = type->count;
    Text found;
    if (depth > DEEPEST) return 0;
    switch (type->kind) {
    case NOTHING:
        return 1;
    case BOOLEAN:
        return get_bytes(c, 1, &found) && *found.at <= 1 && say_boolean(t, type, *found.at);
    case INTEGER:
        return avro_integer(c, &number) && say_integer(t, type, number);
    case TIME: /* `first` of it make a millisecond */
        return avro_integer(c, &number) && say_time(t, type, number < 0 ? number : number / type->first);
    case DOUBLE:
        return get_bytes(c, 8, &found) && say_double(t, type, found.at);
    case STRING:
        return avro_bytes(c, &found) && say_string(t, type, found);
    case BYTES:
        return avro_bytes(c, &found);
    case DECIMAL: /* of a scale, in so many bytes, or as many as stand before it */
        return (number ? get_bytes(c, number, &found) : avro_bytes(c, &found)) && found.length <= DECIMAL_BYTES_MAX && say_decimal(t, type, found, type->first);
    case FIXED:
        return get_bytes(c, number, &found);
    case ENUM:
        return avro_integer(c, &number) && number >= 0 && number < type->count && say_word(t, type, t->types + type->first + number);
    case UNION:
        return avro_integer(c, &number) && number >= 0 && number < type->count && avro(t, c, t->types + type->first + number, depth + 1);
    case RECORD:
        return avro_record(t, c, type, depth);
    case ARRAY:
    case MAP:
        return avro_blocks(t, c, type, depth);
    }
    return 0;
}

/* -- Protobuf */

static int protobuf(Typed *t, Cursor *c, const Type *type, int depth);

static inline int protobuf_integer(Cursor *c, uint64_t *out) {
    *out = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        if (c->at == c->end) return 0;
        uint64_t part = *c->at++;
        if (shift == 63 && part > 1) return 0;
        *out |= (part & 0x7f) << shift;
        if (part < 0x80) return 1;
    }
    return 0;
}

static inline int protobuf_bytes(Cursor *c, Text *out) {
    uint64_t length;
    return protobuf_integer(c, &length) && length <= INT32_MAX && get_bytes(c, (int64_t)length, out);
}

/* The number of a field, and its wire type. */
static inline int protobuf_tag(Cursor *c, int64_t *number, int *wire) {
    const uint8_t *from = c->at;
    uint64_t tag;
    if (!protobuf_integer(c, &tag) || c->at - from > TAG_BYTES_MAX || tag > UINT32_MAX || tag < 8) return 0;
    *number = (int64_t)(tag >> 3);
    *wire = (int)(tag & 7);
    return 1;
}

static int protobuf_skip(Cursor *c, int wire) {
    uint64_t number;
    Text found;
    switch (wire) {
    case VARINT:
        return protobuf_integer(c, &number);
    case EIGHT_BYTES:
        return get_bytes(c, 8, &found);
    case WITH_LENGTH:
        return protobuf_bytes(c, &found);
    case FOUR_BYTES:
        return get_bytes(c, 4, &found);
    }
    return 0;
}

static inline int wire_of(const Type *type) {
    switch (type->kind) {
    case BOOLEAN:
    case INTEGER:
    case ZIGZAG:
    case ENUM:
        return VARINT;
    case DOUBLE:
        return EIGHT_BYTES;
    case FIXED:
        return type->count == 4 ? FOUR_BYTES : EIGHT_BYTES;
    }
    return WITH_LENGTH;
}

/* A Timestamp, or a Duration that is not negative: seconds and nanoseconds, each once. */
static int protobuf_time(Typed *t, Cursor c, const Type *type) {
    uint64_t parts[2] = {0, 0}, seen = 0, part;
    int64_t number;
    int wire;
    while (c.at < c.end) {
        if (!protobuf_tag(&c, &number, &wire) || number > 2 || wire != VARINT || !protobuf_integer(&c, &part) || seen & UINT64_C(1) << number) return 0;
        seen |= UINT64_C(1) << number;
        parts[number - 1] = part;
    }
    return parts[0] <= LAST_MS / 1000 && parts[1] < 1000000000 && say_time(t, type, (int64_t)(parts[0] * 1000 + parts[1] / 1000000));
}

static int protobuf_word(Typed *t, const Type *type, uint64_t number) {
    if (!is_wanted(t, type)) return 1;
    for (int64_t i = 0; i < type->count; i++) {
        const Type *word = t->types + type->first + i;
        if (word->number >= 0 && (uint64_t)word->number == number) return say_word(t, type, word);
    }
    return 0;
}

/* A value of a field, of the wire type that its kind has. */
static int protobuf_value(Typed *t, Cursor *c, const Type *type, int depth) {
    uint64_t number;
    Text found;
    switch (type->kind) {
    case BOOLEAN:
        return protobuf_integer(c, &number) && say_boolean(t, type, number != 0);
    case INTEGER: /* up to `first` */
    case ZIGZAG:
        if (!protobuf_integer(c, &number)) return 0;
        if (!is_wanted(t, type)) return 1;
        if (number > (uint64_t)type->first) return 0;
        return say_integer(t, type, type->kind == INTEGER ? (int64_t)number : (int64_t)(number >> 1) ^ -(int64_t)(number & 1));
    case ENUM:
        return protobuf_integer(c, &number) && protobuf_word(t, type, number);
    case DOUBLE:
        return get_bytes(c, 8, &found) && say_double(t, type, found.at);
    case FIXED:
        return get_bytes(c, type->count, &found);
    case STRING:
        return protobuf_bytes(c, &found) && say_string(t, type, found);
    case BYTES:
        return protobuf_bytes(c, &found);
    case TIME:
        return protobuf_bytes(c, &found) && protobuf_time(t, (Cursor){found.at, found.at + found.length}, type);
    case RECORD:
        if (!protobuf_bytes(c, &found)) return 0;
        if (!is_wanted(t, type)) return protobuf(t, &(Cursor){found.at, found.at + found.length}, type, depth + 1);
        t->passing++;
        if (!protobuf(t, &(Cursor){found.at, found.at + found.length}, type, depth + 1)) return 0;
        t->passing--;
        return say_record(t, type, found);
    }
    return 0;
}

/* A field that is not set and can't tell so. */
static int protobuf_default(Typed *t, const Type *type) {
    static const uint8_t zero[8];
    switch (type->kind) {
    case BOOLEAN:
        return say_boolean(t, type, 0);
    case INTEGER:
    case ZIGZAG:
        return say_integer(t, type, 0);
    case DOUBLE:
        return say_double(t, type, zero);
    case STRING:
        return say(t, type, (Text){(const uint8_t *)"\"\"", 2});
    case ENUM:
        return protobuf_word(t, type, 0);
    }
    return 0;
}

/* A message, to the end. Of the members of a oneof one is read, once. */
static int protobuf(Typed *t, Cursor *c, const Type *type, int depth) {
    const Type *fields = t->types + type->first;
    uint64_t ones = 0;
    int64_t number, at = 0;
    int wire;
    if (depth > DEEPEST) return 0;
    while (c->at < c->end) {
        if (!protobuf_tag(c, &number, &wire)) return 0;
        int64_t left = type->count; /* of the fields to look at: first the one behind the last one */
        while (left > 0 && fields[at % type->count].number != number) at++, left--;
        if (left == 0) {
            if (!protobuf_skip(c, wire)) return 0;
            continue;
        }
        const Type *field = fields + at++ % type->count;
        if (field->flags >= ONE_OF) {
            uint64_t one = UINT64_C(1) << field->flags / ONE_OF;
            if (ones & one) return 0;
            ones |= one;
        }
        if (wire == wire_of(field)) {
            if (!protobuf_value(t, c, field, depth)) return 0;
            continue;
        }
        Text packed;
        if (wire != WITH_LENGTH || !(field->flags & REPEATED) || !protobuf_bytes(c, &packed)) return 0;
        for (Cursor each = {packed.at, packed.at + packed.length}; each.at < each.end;)
            if (!protobuf_value(t, &each, field, depth)) return 0;
    }
    for (int64_t i = 0; i < type->count; i++) {
        const Type *field = fields + i;
        if (field->flags & HAS_DEFAULT && is_wanted(t, field) && !t->places[field->place].length && !protobuf_default(t, field)) return 0;
    }
    return 1;
}

/* A message of one of the types of a file, behind its index. */
static int protobuf_message(Typed *t, Cursor *c, const Type *file) {
    int64_t index = 0;
    if (c->at == c->end) return 0;
    if (*c->at++) {
        if (c->at[-1] != 2 || c->at == c->end || *c->at & 0x81) return 0;
        index = *c->at++ / 2;
    }
    const Type *message = t->types + file->first + index;
    return index < file->count && message->kind == RECORD && protobuf(t, c, message, 0);
}

/* -- both */

/* A whole record. */
static inline int read_typed(Typed *t, Cursor c, const Type *type) {
    return (type->kind == MESSAGES ? protobuf_message(t, &c, type) : avro(t, &c, type, 0)) && c.at == c.end;
}

/* The fields of a record that stands within another one; `is_message`: in Protobuf. */
static inline int read_inner(Typed *t, Text record, const Type *type, int is_message) {
    Cursor c = {record.at, record.at + record.length};
    return (is_message ? protobuf(t, &c, type, 0) : avro_fields(t, &c, type, 0)) && c.at == c.end;
}

#endif
