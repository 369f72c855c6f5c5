/* Source records of the contract, sessions, payments and memberships, to parts of frames (formats/frames.py): what sources/decode.py and formats/frames.py do
 * together, for the records that nearly all are. A record with anything unusual is left to those two, which alone reject: an escape or a byte that is
 * not ASCII in any string, a nested value, a field twice, a number that is not a plain one in range, a time in another form than the common ones.
 *
 * No Python inside: bytes in, bytes out, so that it needs no headers of an interpreter and runs without its lock. It allocates one block, and frees it.
 */

#include "msgpack.h"

enum { SESSION = 1, PAYMENT = 2, MEMBERSHIP = 4 };       /* kinds, as in domain/events.py */
enum { ROW_FORMAT = 2, AS_SESSION = 1, AS_PAYMENT = 2 }; /* sources/records.py, domain/events.py */

#define ID_LENGTH 200
#define GROUPS_MAX 32            /* of a customer; one of more is unusual */
#define MEMBERSHIP_BYTES_MAX 8192 /* of a value; a row of more may be refused */
#define MOST_VERSION (INT64_C(1) << 53)
#define MOST_AMOUNT ((INT64_C(1) << 53) - 1)
#define MOST_DIGITS 17
#define QUARTER_MS 900000
#define MINUTE_MS 60000
#define DAY_MS INT64_C(86400000)
#define LAST_MS INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */
#define NO_VALUE INT64_MIN

typedef struct {
    Text operator_id, id, customer, session, currency, groups; /* groups: what stands between the brackets */
    int64_t version, time_ms, ended_ms, wh, received, discount, refunded;
    int32_t counted, next; /* next: of the same operator, -1: none */
} Event;

typedef struct {
    int32_t first, last;
} Operator;

/* -- reading JSON */

static void skip_space(Cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\r' || *c->at == '\t')) c->at++;
}

static int take(Cursor *c, uint8_t wanted) {
    skip_space(c);
    if (c->at == c->end || *c->at != wanted) return 0;
    c->at++;
    return 1;
}

static int take_word(Cursor *c, const char *word, int64_t length) {
    if (c->end - c->at < length || memcmp(c->at, word, (size_t)length) != 0) return 0;
    c->at += length;
    return 1;
}

/* A string of printable ASCII without an escape. */
static int text(Cursor *c, Text *out) {
    if (!take(c, '"')) return 0;
    const uint8_t *from = c->at;
    while (c->at < c->end && *c->at != '"') {
        if (*c->at < 0x20 || *c->at > 0x7e || *c->at == '\\') return 0;
        c->at++;
    }
    if (c->at == c->end) return 0;
    out->at = from;
    out->length = c->at - from;
    c->at++;
    return 1;
}

static int is_digit(const Cursor *c) { return c->at < c->end && *c->at >= '0' && *c->at <= '9'; }

/* The digits of a number that is not negative, without those behind a point. */
static int digits(Cursor *c, int64_t *out, int most) {
    const uint8_t *from = c->at;
    int64_t value = 0;
    while (is_digit(c)) {
        if (c->at - from == most) return 0;
        value = value * 10 + (*c->at++ - '0');
    }
    *out = value;
    return c->at > from;
}

static int integer(Cursor *c, int64_t *out, int64_t most) {
    skip_space(c);
    const uint8_t *from = c->at;
    if (!digits(c, out, MOST_DIGITS) || *out > most) return 0;
    if (*from == '0' && c->at - from > 1) return 0;
    return c->at == c->end || (*c->at != '.' && *c->at != 'e' && *c->at != 'E');
}

static int is_null(Cursor *c) {
    skip_space(c);
    return take_word(c, "null", 4);
}

static int id(Cursor *c, Text *out) { return text(c, out) && out->length >= 1 && out->length <= ID_LENGTH; }

static int optional_id(Cursor *c, Text *out) { return is_null(c) || id(c, out); }

static int optional_integer(Cursor *c, int64_t *out, int64_t most) { return is_null(c) || integer(c, out, most); }

/* -- times, as in sources/times.py */

static int pair(const uint8_t *at, int *out) {
    if (at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9') return 0;
    *out = (at[0] - '0') * 10 + at[1] - '0';
    return 1;
}

static int days_of_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : days[month - 1];
}

/* Days since 1970 of a date from then on: years counted from March, so that a leap day is the last of one. */
static int64_t day_of(int year, int month, int day) {
    int64_t years = year - (month <= 2), months = (month + 9) % 12;
    return 365 * years + years / 4 - years / 100 + years / 400 + (153 * months + 2) / 5 + day - 719469;
}

/* 2026-11-30T12:34:56, any fraction, Z or an offset. */
static int written_time(Text t, int64_t *out) {
    int century, years, month, day, hour, minute, second, offset_hours, offset_minutes;
    const uint8_t *s = t.at, *end = t.at + t.length;
    if (t.length < 20 || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':') return 0;
    if (!pair(s, &century) || !pair(s + 2, &years) || !pair(s + 5, &month) || !pair(s + 8, &day)) return 0;
    if (!pair(s + 11, &hour) || !pair(s + 14, &minute) || !pair(s + 17, &second)) return 0;
    int year = century * 100 + years;
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_of_month(year, month)) return 0;
    if (hour > 23 || minute > 59 || second > 59) return 0;
    int64_t ms = day_of(year, month, day) * DAY_MS + (hour * 60 + minute) * (int64_t)MINUTE_MS + second * 1000;
    s += 19;
    if (*s == '.') {
        int count = 0, factor = 100;
        for (s++; s < end && *s >= '0' && *s <= '9'; s++, count++, factor /= 10) ms += (*s - '0') * factor;
        if (count == 0) return 0;
    }
    if (end - s == 6 && (*s == '+' || *s == '-') && s[3] == ':') {
        if (!pair(s + 1, &offset_hours) || !pair(s + 4, &offset_minutes) || offset_hours > 23 || offset_minutes > 59) return 0;
        ms -= (*s == '+' ? 1 : -1) * (int64_t)(offset_hours * 60 + offset_minutes) * MINUTE_MS;
    } else if (end - s != 1 || *s != 'Z') {
        return 0;
    }
    *out = ms;
    return ms >= 0 && ms <= LAST_MS;
}

static int time_of(Cursor *c, int64_t *out) {
    Text written;
    skip_space(c);
    return is_digit(c) ? integer(c, out, LAST_MS) : text(c, &written) && written_time(written, out);
}

/* -- energy, as in sources/unchecked.py: kilowatt-hours with at most six digits before the point and three behind it */

static int energy(Cursor *c, int64_t *wh) {
    if (is_null(c)) return 1;
    int is_text = c->at < c->end && *c->at == '"', places = 0;
    if (is_text) c->at++;
    const uint8_t *from = c->at;
    int64_t value;
    if (!digits(c, &value, 6)) return 0;
    if (!is_text && *from == '0' && c->at - from > 1) return 0;
    if (c->at < c->end && *c->at == '.') {
        for (c->at++; is_digit(c); c->at++, places++) {
            if (places == 3) return 0;
            value = value * 10 + (*c->at - '0');
        }
        if (places == 0) return 0;
    }
    for (; places < 3; places++) value *= 10;
    *wh = value;
    if (is_text) return c->at < c->end && *c->at++ == '"';
    return c->at == c->end || (*c->at != 'e' && *c->at != 'E');
}

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

/* A value that nobody asks for. */
static int skip(Cursor *c) {
    Text ignored;
    int64_t number;
    skip_space(c);
    if (c->at < c->end && *c->at == '"') return text(c, &ignored);
    if (take_word(c, "true", 4) || take_word(c, "false", 5) || take_word(c, "null", 4)) return 1;
    return integer(c, &number, INT64_MAX);
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
        case UNKNOWN: ok = skip(&c); break;
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

/* -- writing rows */

static void put_known(Out *o, int64_t value) {
    if (value == NO_VALUE)
        put_nil(o);
    else
        put_integer(o, value);
}

static int compared(Text a, Text b) {
    int64_t both = a.length < b.length ? a.length : b.length;
    int found = memcmp(a.at, b.at, (size_t)both);
    return found != 0 ? found : (a.length > b.length) - (a.length < b.length);
}

/* Groups in order, each once. */
static void put_groups(Out *o, Text list) {
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
static void put_row(Out *o, int kind, const Event *e, int64_t timestamp, int64_t offset, int64_t partition) {
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

/* -- the batch */

/* The most bytes that `count` values of `size` bytes together become. */
int64_t stream_app_room(int64_t count, int64_t size) { return size + count * (ROW_BYTES + PART_BYTES); }

/*
 * `data` holds `count` values one after the other, of these `lengths`. Sessions and payments before `oldest_ms` and after `latest_ms` are left.
 * `out` becomes parts of frames of at most `events_max` events and about `bytes_max` bytes, one after the other; `parts` has four numbers for each: where
 * in `data` the id of its operator begins, how long that is, where the part ends in `out`, its number of events. `left` becomes 1 for each value that was
 * not taken. `totals`: the number of parts, and of sessions taken whose energy is not known. Returns 0, or -1 where there is no memory.
 */
int32_t stream_app_source_records(
    int32_t kind, const uint8_t *data, int64_t count, const int64_t *lengths, const int64_t *timestamps, const int64_t *offsets, int64_t partition,
    int64_t oldest_ms, int64_t latest_ms, const uint8_t *currencies, int64_t currency_count, int64_t events_max, int64_t bytes_max,
    uint8_t *out, int64_t *parts, uint8_t *left, int64_t *totals) {
    int64_t places = 16;
    while (places < 2 * count) places *= 2;
    size_t for_events = (size_t)count * sizeof(Event), for_operators = (size_t)count * sizeof(Operator);
    uint8_t *block = malloc(for_events + for_operators + (size_t)places * sizeof(int32_t));
    if (block == NULL) return -1;
    Event *events = (Event *)block;
    Operator *operators = (Operator *)(block + for_events);
    int32_t *table = (int32_t *)(block + for_events + for_operators), operator_count = 0;
    memset(table, 0xff, (size_t)places * sizeof(int32_t));

    const uint8_t *at = data;
    for (int64_t i = 0; i < count; at += lengths[i], i++) {
        Event *e = events + i;
        left[i] = 1;
        if (!parse(kind, (Cursor){at, at + lengths[i]}, currencies, currency_count, e)) continue;
        if (kind != MEMBERSHIP && (e->time_ms < oldest_ms || e->time_ms > latest_ms)) continue;
        left[i] = 0;
        e->next = -1;
        uint64_t place = hash(e->operator_id) & (uint64_t)(places - 1);
        for (;; place = (place + 1) & (uint64_t)(places - 1)) {
            if (table[place] < 0) {
                table[place] = operator_count;
                operators[operator_count++] = (Operator){(int32_t)i, (int32_t)i};
                break;
            }
            Operator *o = operators + table[place];
            if (is_same(events[o->first].operator_id, e->operator_id)) {
                events[o->last].next = (int32_t)i;
                o->last = (int32_t)i;
                break;
            }
        }
    }

    Out o = {out};
    int64_t made = 0, unknown = 0;
    for (int32_t n = 0; n < operator_count; n++) {
        for (int32_t from = operators[n].first; from >= 0;) {
            int64_t in_part = 0, size = 0;
            int32_t end = from;
            for (; end >= 0 && in_part < events_max; end = events[end].next, in_part++) {
                const Event *one = events + end;
                int64_t of_one = ROW_BYTES + one->id.length + one->customer.length + one->session.length + one->groups.length;
                if (in_part > 0 && size + of_one > bytes_max) break;
                size += of_one;
            }
            put_array(&o, 6);
            put_text(&o, events[from].operator_id);
            put_integer(&o, kind);
            put_array(&o, in_part);
            for (int32_t i = from; i != end; i = events[i].next) {
                byte(&o, 0xc4);
                byte(&o, (int)events[i].id.length);
                put_bytes(&o, events[i].id);
            }
            put_array(&o, in_part);
            for (int32_t i = from; i != end; i = events[i].next) {
                put_row(&o, kind, events + i, timestamps[i], offsets[i], partition);
                unknown += kind == SESSION && events[i].wh == NO_VALUE;
            }
            byte(&o, 0x80); /* raws: none is old */
            byte(&o, 0xc2); /* again: no */
            int64_t *part = parts + 4 * made++;
            part[0] = events[from].operator_id.at - data;
            part[1] = events[from].operator_id.length;
            part[2] = o.at - out;
            part[3] = in_part;
            from = end;
        }
    }
    totals[0] = made;
    totals[1] = unknown;
    free(block);
    return 0;
}
