/* Sessions, payments and memberships that were read, and the parts of frames that they become (formats/frames.py). */

#ifndef STREAM_APP_EVENTS_H
#define STREAM_APP_EVENTS_H

#include "json.h"

enum { SESSION = 1, PAYMENT = 2, MEMBERSHIP = 4 };       /* kinds, as in domain/events.py */
enum { ROW_FORMAT = 2, AS_SESSION = 1, AS_PAYMENT = 2 }; /* sources/records.py, domain/events.py */

#define GROUPS_MAX 32            /* of a customer; one of more is unusual */
#define MEMBERSHIP_BYTES_MAX 8192 /* of a value; a row of more may be refused */
#define MOST_VERSION (INT64_C(1) << 53)
#define MOST_AMOUNT ((INT64_C(1) << 53) - 1)
#define QUARTER_MS 900000
#define NO_VALUE INT64_MIN

typedef struct {
    Text operator_id, id, customer, session, currency, groups; /* groups: what stands between the brackets */
    int64_t version, time_ms, ended_ms, wh, received, discount, refunded;
    int32_t counted, next; /* next: of the same operator, -1: none */
} Event;

typedef struct {
    int32_t first, last;
} Operator;

/* -- writing rows */

static inline void put_known(Out *o, int64_t value) {
    if (value == NO_VALUE)
        put_nil(o);
    else
        put_integer(o, value);
}

static inline int compared(Text a, Text b) {
    int64_t both = a.length < b.length ? a.length : b.length;
    int found = memcmp(a.at, b.at, (size_t)both);
    return found != 0 ? found : (a.length > b.length) - (a.length < b.length);
}

/* Groups in order, each once. */
static inline void put_groups(Out *o, Text list) {
    Text sorted[GROUPS_MAX], group;
    int count = 0;
    Cursor c = {list.at, list.at + list.length};
    while (c.at < c.end) {
        text(&c, &group);
        take(&c, ',');
        int at = count;
        while (at > 0 && compared(group, sorted[at - 1]) < 0) at--;
        if (at > 0 && compared(group, sorted[at - 1]) == 0) continue;
        memmove(sorted + at + 1, sorted + at, (size_t)(count - at) * sizeof(Text));
        sorted[at] = group;
        count++;
    }
    put_array(o, count);
    for (int i = 0; i < count; i++) put_text(o, sorted[i]);
}

/* The row of an event, see domain/events.py. */
static inline void put_row(Out *o, int kind, const Event *e, int64_t timestamp, int64_t offset, int64_t partition) {
    put_array(o, kind == SESSION ? 12 : kind == PAYMENT ? 17 : 6);
    put_integer(o, e->version);
    put_integer(o, timestamp);
    put_integer(o, offset);
    put_integer(o, partition);
    put_integer(o, ROW_FORMAT);
    if (kind == MEMBERSHIP) {
        put_groups(o, e->groups);
        return;
    }
    put_integer(o, e->counted);
    put_integer(o, e->time_ms / QUARTER_MS);
    put_integer(o, 0);
    put_text(o, e->customer);
    put_known(o, e->wh);
    put_integer(o, e->time_ms % QUARTER_MS);
    put_known(o, e->ended_ms == NO_VALUE ? NO_VALUE : e->ended_ms - e->time_ms);
    if (kind == PAYMENT) {
        put_integer(o, e->received);
        put_integer(o, e->discount);
        put_integer(o, e->refunded);
        put_text(o, e->currency);
        put_text(o, e->session);
    }
}

#define ROW_BYTES 128   /* at most, besides ids: 17 fields, most of them of nine bytes at most, a header */
#define PART_BYTES 280  /* at most, besides its events: the operator, headers of arrays, an empty map */

/* -- events of a kind, gathered by operator */

typedef struct {
    Event *events; /* by the index of their values */
    Operator *operators;
    int32_t *table, operator_count;
    int64_t places;
    void *block;
} Batch;

/* 0 where there is no memory. */
static inline int begin_batch(Batch *b, int64_t count) {
    b->places = 16;
    while (b->places < 2 * count) b->places *= 2;
    size_t for_events = (size_t)count * sizeof(Event), for_operators = (size_t)count * sizeof(Operator);
    uint8_t *block = malloc(for_events + for_operators + (size_t)b->places * sizeof(int32_t));
    if (block == NULL) return 0;
    b->block = block;
    b->events = (Event *)block;
    b->operators = (Operator *)(block + for_events);
    b->table = (int32_t *)(block + for_events + for_operators);
    b->operator_count = 0;
    memset(b->table, 0xff, (size_t)b->places * sizeof(int32_t));
    return 1;
}

/* Take the event that lies at an index. */
static inline void add_event(Batch *b, int32_t index) {
    Event *e = b->events + index;
    e->next = -1;
    uint64_t place = hash(e->operator_id) & (uint64_t)(b->places - 1);
    for (;; place = (place + 1) & (uint64_t)(b->places - 1)) {
        if (b->table[place] < 0) {
            b->table[place] = b->operator_count;
            b->operators[b->operator_count++] = (Operator){index, index};
            return;
        }
        Operator *o = b->operators + b->table[place];
        if (is_same(b->events[o->first].operator_id, e->operator_id)) {
            b->events[o->last].next = index;
            o->last = index;
            return;
        }
    }
}

/* What is written: parts of frames behind each other. `parts` has four numbers for each, of which two say where in what is written the id of its operator begins and the part
 * ends: that begin, how long the id is, that end, its number of events. */
typedef struct {
    const uint8_t *out;
    Out at;
    int64_t *parts, made, unknown_energy;
} Written;

/* Write the events that were taken as parts of at most `events_max` events and about `bytes_max` bytes. */
static inline void write_parts(
    const Batch *b, int kind, const int64_t *timestamps, const int64_t *offsets, int64_t partition, int64_t events_max, int64_t bytes_max, Written *w) {
    const Event *events = b->events;
    Out *o = &w->at;
    for (int32_t n = 0; n < b->operator_count; n++) {
        for (int32_t from = b->operators[n].first; from >= 0;) {
            int64_t in_part = 0, size = 0;
            int32_t end = from;
            for (; end >= 0 && in_part < events_max; end = events[end].next, in_part++) {
                const Event *one = events + end;
                int64_t of_one = ROW_BYTES + one->id.length + one->customer.length + one->session.length + one->groups.length;
                if (in_part > 0 && size + of_one > bytes_max) break;
                size += of_one;
            }
            put_array(o, 6);
            put_text(o, events[from].operator_id);
            int64_t *part = w->parts + 4 * w->made++;
            part[1] = events[from].operator_id.length;
            part[0] = o->at - w->out - part[1];
            put_integer(o, kind);
            put_array(o, in_part);
            for (int32_t i = from; i != end; i = events[i].next) {
                byte(o, 0xc4);
                byte(o, (int)events[i].id.length);
                put_bytes(o, events[i].id);
            }
            put_array(o, in_part);
            for (int32_t i = from; i != end; i = events[i].next) {
                put_row(o, kind, events + i, timestamps[i], offsets[i], partition);
                w->unknown_energy += kind == SESSION && events[i].wh == NO_VALUE;
            }
            byte(o, 0x80); /* raws: none is old */
            byte(o, 0xc2); /* again: no */
            part[2] = o->at - w->out;
            part[3] = in_part;
            from = end;
        }
    }
}

#endif
