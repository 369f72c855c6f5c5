/* Source records of the contract, sessions, payments and memberships, to parts of frames (formats/frames.py): what sources/decode.py and formats/frames.py do
 * together, for the records that nearly all are. A record with anything unusual is left to those two, which alone reject: an escape or a byte that is
 * not ASCII in a string of the contract, a field twice, a number that is not a plain one in range, a time in another form than the common ones.
 *
 * No Python inside: bytes in, bytes out, so that it needs no headers of an interpreter and runs without its lock. It allocates one block, and frees it.
 */

#include "events.h"

/* -- a record */

enum Field { ID, OPERATOR, STATUS, TIME, CUSTOMER, VERSION, ENERGY, ENDED, RECEIVED, CURRENCY, DISCOUNT, REFUNDED, PAID_SESSION, GROUPS, UNKNOWN };

typedef struct {
    const char *name;
    enum Field field;
} Name;

#define OF_ALL (1 << ID | 1 << OPERATOR)
#define OF_SESSIONS (OF_ALL | 1 << STATUS | 1 << TIME)
#define OF_PAYMENTS (OF_SESSIONS | 1 << RECEIVED | 1 << CURRENCY)
#define OF_MEMBERSHIPS (OF_ALL | 1 << GROUPS)

static const Name SESSION_NAMES[] = {
    {"session_id", ID}, {"operator_id", OPERATOR}, {"status", STATUS}, {"started_at", TIME}, {"customer_id", CUSTOMER},
    {"version", VERSION}, {"energy_kwh", ENERGY}, {"ended_at", ENDED}, {NULL, UNKNOWN},
};
static const Name PAYMENT_NAMES[] = {
    {"payment_id", ID}, {"operator_id", OPERATOR}, {"status", STATUS}, {"paid_at", TIME}, {"customer_id", CUSTOMER},
    {"version", VERSION}, {"amount_received", RECEIVED}, {"currency", CURRENCY}, {"amount_discount", DISCOUNT},
    {"amount_refunded", REFUNDED}, {"session_id", PAID_SESSION}, {NULL, UNKNOWN},
};
static const Name MEMBERSHIP_NAMES[] = {
    {"customer_id", ID}, {"operator_id", OPERATOR}, {"group_ids", GROUPS}, {"version", VERSION}, {NULL, UNKNOWN},
};
/* The state in which an event counts comes first. */
static const char *const SESSION_STATES[] = {"COMPLETED", "ACTIVE", "PENDING", "RESERVATION", "INVALID", NULL};
static const char *const PAYMENT_STATES[] = {"SUCCEEDED", "PENDING", "FAILED", "CANCELED", "REFUNDED", NULL};

static int equals(Text t, const char *word) { return strlen(word) == (size_t)t.length && memcmp(t.at, word, (size_t)t.length) == 0; }

static enum Field field_of(const Name *names, Text name) {
    for (; names->name != NULL; names++)
        if (equals(name, names->name)) return names->field;
    return UNKNOWN;
}

static int status(Cursor *c, const char *const *states, int *counts) {
    Text found;
    if (!text(c, &found)) return 0;
    for (int i = 0; states[i] != NULL; i++)
        if (equals(found, states[i])) {
            *counts = i == 0;
            return 1;
        }
    return 0;
}

/* `currencies`: three letters each, one after the other. */
static int currency(Cursor *c, const uint8_t *currencies, int64_t count, Text *out) {
    if (!text(c, out) || out->length != 3) return 0;
    for (int64_t i = 0; i < count; i++)
        if (memcmp(out->at, currencies + 3 * i, 3) == 0) return 1;
    return 0;
}

/* A list of groups, none of them the one that everything belongs to. */
static int groups(Cursor *c, Text *out) {
    int count = 0;
    Text group;
    if (!take(c, '[')) return 0;
    out->at = c->at;
    out->length = 0;
    skip_space(c);
    if (take(c, ']')) return 1;
    do {
        if (++count > GROUPS_MAX || !id(c, &group) || (group.length == 3 && memcmp(group.at, "ALL", 3) == 0)) return 0;
    } while (take(c, ','));
    out->length = c->at - out->at;
    return take(c, ']');
}

static int parse(int kind, Cursor c, const uint8_t *currencies, int64_t currency_count, Event *e) {
    const Name *names = kind == SESSION ? SESSION_NAMES : kind == PAYMENT ? PAYMENT_NAMES : MEMBERSHIP_NAMES;
    const int required = kind == SESSION ? OF_SESSIONS : kind == PAYMENT ? OF_PAYMENTS : OF_MEMBERSHIPS;
    int seen = 0, counts = 0, ok = 1;
    memset(e, 0, sizeof *e);
    e->ended_ms = e->wh = NO_VALUE;
    if (kind == MEMBERSHIP && c.end - c.at > MEMBERSHIP_BYTES_MAX) return 0;
    if (!take(&c, '{')) return 0;
    do {
        Text name;
        if (!text(&c, &name) || !take(&c, ':')) return 0;
        enum Field field = field_of(names, name);
        if (field != UNKNOWN && (seen & 1 << field)) return 0;
        seen |= 1 << field;
        switch (field) {
        case ID: ok = id(&c, &e->id); break;
        case OPERATOR: ok = id(&c, &e->operator_id); break;
        case STATUS: ok = status(&c, kind == SESSION ? SESSION_STATES : PAYMENT_STATES, &counts); break;
        case TIME: ok = time_of(&c, &e->time_ms); break;
        case CUSTOMER: ok = optional_id(&c, &e->customer); break;
        case VERSION: ok = optional_integer(&c, &e->version, MOST_VERSION); break;
        case ENERGY: ok = energy(&c, &e->wh); break;
        case ENDED: ok = is_null(&c) || time_of(&c, &e->ended_ms); break;
        case RECEIVED: ok = integer(&c, &e->received, MOST_AMOUNT); break;
        case CURRENCY: ok = currency(&c, currencies, currency_count, &e->currency); break;
        case DISCOUNT: ok = optional_integer(&c, &e->discount, MOST_AMOUNT); break;
        case REFUNDED: ok = optional_integer(&c, &e->refunded, MOST_AMOUNT); break;
        case PAID_SESSION: ok = optional_id(&c, &e->session); break;
        case GROUPS: ok = groups(&c, &e->groups); break;
        case UNKNOWN: ok = skip_any(&c, 0); break;
        }
        if (!ok) return 0;
    } while (take(&c, ','));
    if (!take(&c, '}')) return 0;
    skip_space(&c);
    if (c.at != c.end || (seen & required) != required || e->refunded > e->received) return 0;
    if (kind == SESSION)
        e->counted = counts ? AS_SESSION : 0;
    else if (kind == PAYMENT)
        e->counted = counts && !(e->refunded > 0 && e->received == e->refunded) ? AS_PAYMENT : 0;
    return 1;
}

/* -- the batch */

/* The most bytes that `count` values of `size` bytes together become. */
int64_t stream_app_room(int64_t count, int64_t size) { return size + count * (ROW_BYTES + PART_BYTES); }

/*
 * `data` holds `count` values one after the other, of these `lengths`. Sessions and payments before `oldest_ms` and after `latest_ms` are left.
 * `out` becomes parts of frames of at most `events_max` events and about `bytes_max` bytes, `parts` tells of them (events.h). `left` becomes 1 for each value that was
 * not taken. `totals`: the number of parts, and of sessions taken whose energy is not known. Returns 0, or -1 where there is no memory.
 */
int32_t stream_app_source_records(
    int32_t kind, const uint8_t *data, int64_t count, const int64_t *lengths, const int64_t *timestamps, const int64_t *offsets, int64_t partition,
    int64_t oldest_ms, int64_t latest_ms, const uint8_t *currencies, int64_t currency_count, int64_t events_max, int64_t bytes_max,
    uint8_t *out, int64_t *parts, uint8_t *left, int64_t *totals) {
    Batch b;
    if (!begin_batch(&b, count)) return -1;
    const uint8_t *at = data;
    for (int64_t i = 0; i < count; at += lengths[i], i++) {
        Event *e = b.events + i;
        left[i] = 1;
        if (!parse(kind, (Cursor){at, at + lengths[i]}, currencies, currency_count, e)) continue;
        if (kind != MEMBERSHIP && (e->time_ms < oldest_ms || e->time_ms > latest_ms)) continue;
        left[i] = 0;
        add_event(&b, (int32_t)i);
    }
    Written w = {out, {out}, parts, 0, 0};
    write_parts(&b, kind, timestamps, offsets, partition, events_max, bytes_max, &w);
    totals[0] = w.made;
    totals[1] = w.unknown_energy;
    free(b.block);
    return 0;
}
