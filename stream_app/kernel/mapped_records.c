/* Records of topics of one's own, in JSON, Avro and Protobuf, to parts of frames, as far as a map is simple: what sources/mapped.py and formats/frames.py do together. Places are told
 * as a tree of names, and of records by a schema at its types; what is read where as numbers (ports/map_program.py). A value with anything unusual, of any of its records, is left to
 * those two, which alone reject. */

#include "events.h"
#include "schemas.h"

enum { PLACES_MAX = 64, NODES_MAX = 64, ITEMS_MAX = 8, MOST_WH = 999999999 };
enum { AT = -1, WHERE = -2, LAST = -1 };          /* lengths of names that are none: a place in a list, or the first object in it by two words: a name, and its text */
enum { PLAIN, DEBEZIUM, CLOUD_EVENTS };           /* envelopes */
enum { WRITTEN, EPOCH_S, EPOCH_MS, EPOCH_US, LOCAL_MS, LOCAL_US }; /* forms of times */
enum { MINOR, MAJOR };                            /* units of amounts */
enum { KILOWATT_HOURS, WATT_HOURS };

/* Words, and what each means. */
typedef struct {
    int64_t first, count;
} Words;

/* A place, and otherwise: a constant, or nothing (-1). */
typedef struct {
    int64_t place, otherwise;
} Value;

typedef struct {
    int64_t is_there;
    Words where; /* conditions */
    Value id;
    Words ids;
    Value status;
    Words statuses;
    Value time;
    int64_t time_form;
    Value version;
} Common;

/* As ports/map_program.py has it, number by number. */
typedef struct {
    int64_t envelope, root, row, operation, before, payload, spec_version; /* nodes, then places */
    Words where;
    Value operator_id;
    Words operators;
    Value customer;
    Words anonymous;
    Common session;
    Value ended;
    int64_t ended_form;
    Value energy, less;
    int64_t energy_unit;
    Common payment;
    Value received, discount, refunded;
    int64_t received_unit, received_scale, discount_unit, discount_scale, refunded_unit, refunded_scale; /* scale: of an integer in base64, -1: it is none */
    Value currency;
    Words currencies;
    Value paid_session;
} Program;

typedef struct {
    const Program *p;
    const uint8_t *texts;
    const int64_t *nodes, *fields, *words, *conditions; /* see ports/map_program.py */
    const uint8_t *currencies;                          /* three letters each */
    const int64_t *digits;                              /* of each currency */
    const int64_t *schemas;                             /* of records by a schema: its id, and which type they are, JSON: -1 */
    int64_t schema_count;
    const int64_t *clock; /* of the map's zone: its first day, and from then on by day what its clock is ahead of UTC, NO_VALUE where that changes */
    int64_t clock_days;
    Typed typed;
    Text places[PLACES_MAX]; /* of one value: what stands there, as JSON has it or a time by a schema; length 0: nothing */
    uint8_t seen[NODES_MAX]; /* of one value: nodes that were there */
} Reader;

static int is_equal(const Reader *r, Text t, const int64_t *at_and_length) {
    return t.length == at_and_length[1] && (t.length == 0 || memcmp(t.at, r->texts + at_and_length[0], (size_t)t.length) == 0);
}

/* An integer as its digits are. */
static int is_plain_integer(Text t) {
    if (t.length < 1 || t.length > MOST_DIGITS || (*t.at == '0' && t.length > 1)) return 0;
    for (int64_t i = 0; i < t.length; i++)
        if (t.at[i] < '0' || t.at[i] > '9') return 0;
    return 1;
}

/* Whether an item of a list is an object in which a name has a text, both of which are words; -1: that is in doubt. */
static int is_where(const Reader *r, const int64_t *words, Text item) {
    Cursor c = {item.at, item.at + item.length};
    int is = 0, times = 0;
    if (!take(&c, '{') || take(&c, '}')) return 0;
    do {
        Text name, value;
        if (!text(&c, &name) || !take(&c, ':')) return -1;
        skip_space(&c);
        const uint8_t *from = c.at;
        int is_named = is_equal(r, name, words);
        if (is_named && from < c.end && *from == '"') {
            if (!text(&c, &value)) return -1;
        } else {
            if (!skip_any(&c, 0)) return -1;
            value = (Text){from, c.at - from};
        }
        if (!is_named) continue;
        if (times++) return -1;
        if (*from != '"' && *from != 't' && *from != 'f' && !is_plain_integer(value)) {
            if (*from != 'n' && *from != '{' && *from != '[') return -1;
        } else {
            is = is_equal(r, value, words + 3);
        }
    } while (take(&c, ','));
    return is;
}

static int read_node(Reader *r, Cursor *c, int64_t node, int depth);

/* Note what stands in a list, which begins here, at the places below a node. */
static int read_list(Reader *r, Cursor *c, int64_t node, int depth) {
    const int64_t *fields = r->fields + 3 * r->nodes[2 * node], count = r->nodes[2 * node + 1];
    Text items[ITEMS_MAX] = {{NULL, 0}};
    int is_list = 0;
    for (int64_t i = 0; i < count; i++) is_list |= fields[3 * i + 1] < 0;
    if (!is_list || !take(c, '[')) return 0;
    if (take(c, ']')) return 1;
    int64_t number = 0;
    do {
        skip_space(c);
        Text item = {c->at, 0};
        if (!skip_any(c, depth + 1)) return 0;
        item.length = c->at - item.at;
        for (int64_t i = 0; i < count; i++) {
            const int64_t *field = fields + 3 * i;
            if (field[1] == AT && (field[0] == LAST || field[0] == number)) {
                items[i] = item;
            } else if (field[1] == WHERE && items[i].length == 0) {
                int is = is_where(r, r->words + 3 * field[0], item);
                if (is < 0) return 0;
                if (is) items[i] = item;
            }
        }
        number++;
    } while (take(c, ','));
    if (!take(c, ']')) return 0;
    for (int64_t i = 0; i < count; i++) {
        Cursor item = {items[i].at, items[i].at + items[i].length};
        Text plain;
        if (items[i].length == 0 || *item.at == 'n') continue;
        if (fields[3 * i + 2] >= 0) {
            if (!read_node(r, &item, fields[3 * i + 2], depth + 1)) return 0;
        } else {
            if (*item.at == '"' && !text(&item, &plain)) return 0;
            r->places[-1 - fields[3 * i + 2]] = items[i];
        }
    }
    return 1;
}

/* Note what stands at the places below a node, whose object or list begins here. */
static int read_node(Reader *r, Cursor *c, int64_t node, int depth) {
    if (r->seen[node] || depth > DEEPEST) return 0;
    r->seen[node] = 1;
    skip_space(c);
    if (c->at < c->end && *c->at == '[') return read_list(r, c, node, depth);
    if (!take(c, '{')) return 0;
    if (take(c, '}')) return 1;
    do {
        Text name;
        if (!text(c, &name) || !take(c, ':')) return 0;
        skip_space(c);
        const int64_t *field = NULL;
        for (int64_t i = 0; i < r->nodes[2 * node + 1] && field == NULL; i++) {
            const int64_t *one = r->fields + 3 * (r->nodes[2 * node] + i);
            if (is_equal(r, name, one)) field = one;
        }
        if (field != NULL && field[2] >= 0) {
            if (!take_word(c, "null", 4)) {
                if (!read_node(r, c, field[2], depth + 1)) return 0;
            } else if (r->seen[field[2]]++) {
                return 0; /* twice */
            }
            continue;
        }
        if (field == NULL) {
            if (!skip_any(c, depth)) return 0;
            continue;
        }
        const uint8_t *from = c->at;
        Text *place = r->places + (-1 - field[2]), plain;
        if (place->length) return 0; /* twice */
        if (!(from < c->end && *from == '"' ? text(c, &plain) : skip_any(c, depth))) return 0;
        *place = (Text){from, c->at - from};
    } while (take(c, ','));
    return take(c, '}');
}

/* -- what stands at a place */

static Text found(const Reader *r, Value v) { return v.place < 0 ? (Text){NULL, 0} : r->places[v.place]; }

static int is_nothing(Text t) { return t.length == 0 || *t.at == 'n'; }

static int is_string(Text t) { return t.length >= 2 && *t.at == '"'; }

static Text inside(Text t) { return (Text){t.at + 1, t.length - 2}; }

static int64_t integer_of(Text t) {
    int64_t value = 0;
    for (int64_t i = 0; i < t.length; i++) value = value * 10 + (t.at[i] - '0');
    return value;
}

static int id_at(Text t, Text *out) {
    *out = is_string(t) ? inside(t) : t;
    return is_string(t) ? out->length >= 1 && out->length <= ID_LENGTH : is_plain_integer(t);
}

/* A text of the map, as a word's meaning or a constant names it. */
static Text text_of_map(const Reader *r, int64_t named) { return (Text){r->texts + named / 256, named % 256}; }

static int optional_id_at(Text t, Text *out) {
    *out = (Text){NULL, 0};
    return is_nothing(t) || (is_string(t) && t.length == 2) || id_at(t, out);
}

/* What a word means; -1: it is none of these. */
static int64_t meaning(const Reader *r, Text t, Words words) {
    for (int64_t i = 0; i < words.count; i++) {
        const int64_t *word = r->words + 3 * (words.first + i);
        if (is_equal(r, t, word)) return word[2];
    }
    return -1;
}

/* An id as it is, translated, or a constant. */
static int named_at(const Reader *r, Value v, Words words, Text *out) {
    if (v.place < 0 && v.otherwise >= 0) {
        *out = text_of_map(r, v.otherwise);
        return 1;
    }
    if (!id_at(found(r, v), out)) return 0;
    int64_t named = meaning(r, *out, words);
    if (named >= 0) *out = text_of_map(r, named);
    return out->length > 0;
}

/* Whether all conditions hold; -1: that is in doubt. */
static int holds(const Reader *r, Words where) {
    for (int64_t i = 0; i < where.count; i++) {
        const int64_t *condition = r->conditions + 4 * (where.first + i);
        Text t = r->places[condition[0]];
        if (is_nothing(t))
            t = (Text){t.at, 0};
        else if (is_string(t))
            t = inside(t);
        else if (!is_plain_integer(t) && *t.at != 't' && *t.at != 'f')
            return -1;
        if ((meaning(r, t, (Words){condition[2], condition[3]}) >= 0) != condition[1]) return 0;
    }
    return 1;
}

static int word_at(const Reader *r, Value v, Words words, int64_t *out) {
    Text t = found(r, v);
    *out = v.place < 0 ? v.otherwise : is_string(t) ? meaning(r, inside(t), words) : -1;
    return *out >= 0;
}

/* The instant of a wall clock's time of the map's zone, counted as if it were UTC's. */
static int less_zone(const Reader *r, int64_t *ms) {
    int64_t day = r->clock_days ? *ms / DAY_MS - r->clock[0] : -1;
    if (day < 0 || day >= r->clock_days || r->clock[1 + day] == NO_VALUE) return 0;
    *ms -= r->clock[1 + day];
    return 1;
}

static int time_at(const Reader *r, Text t, int64_t form, int64_t *out) {
    if (form == WRITTEN && t.length > 1 && *t.at == MOMENT) {
        *out = integer_of((Text){t.at + 1, t.length - 1});
    } else if (form == WRITTEN) {
        Text offset;
        if (!is_string(t) || !clock_time(inside(t), out, &offset)) return 0;
        if (!(offset.length ? without_offset(offset, out) : less_zone(r, out))) return 0;
    } else {
        if (!is_plain_integer(t)) return 0;
        int64_t value = integer_of(t);
        if (form == EPOCH_S && value > LAST_MS / 1000) return 0;
        *out = form == EPOCH_S ? value * 1000 : form == EPOCH_US || form == LOCAL_US ? value / 1000 : value;
        if ((form == LOCAL_MS || form == LOCAL_US) && !less_zone(r, out)) return 0;
    }
    return *out > 0 && *out <= LAST_MS;
}

static int version_at(Text t, Value v, int64_t *out) {
    *out = v.otherwise > 0 ? v.otherwise : 0;
    if (v.place < 0 || is_nothing(t) || (is_string(t) && t.length == 2)) return 1;
    if (!is_plain_integer(t)) return 0;
    *out = integer_of(t);
    return *out <= MOST_VERSION;
}

/* A number that is not negative, whose digits stand as nobody would doubt them: `places` behind the point at most, to which it is filled up with zeros. */
static int number_at(Text t, int64_t places, int most, int64_t *out) {
    if (is_string(t)) t = inside(t);
    Cursor c = {t.at, t.at + t.length};
    const uint8_t *from = c.at;
    int64_t value, behind = 0;
    if (!digits(&c, &value, most) || (*from == '0' && c.at - from > 1)) return 0;
    if (c.at < c.end && *c.at == '.') {
        for (c.at++; is_digit(&c); c.at++, behind++) {
            if (behind == places) return 0;
            value = value * 10 + (*c.at - '0');
        }
        if (behind == 0) return 0;
    }
    for (; behind < places; behind++) value *= 10;
    *out = value;
    return c.at == c.end;
}

static int sextet(int c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* A big-endian integer in base64 that is not negative, of eight bytes at most. */
static int unscaled_at(Text t, int64_t *out) {
    if (!is_string(t)) return 0;
    t = inside(t);
    int64_t length = t.length, bytes = 0;
    uint64_t value = 0, bits = 0;
    if (length == 0 || length % 4 || length > 12) return 0;
    for (int pad = 0; pad < 2 && t.at[length - 1] == '='; pad++) length--;
    for (int64_t i = 0, have = 0; i < length; i++) {
        int six = sextet(t.at[i]);
        if (six < 0) return 0;
        bits = bits << 6 | (uint64_t)six;
        have += 6;
        if (have >= 8) {
            have -= 8;
            if (++bytes > 8) return 0;
            value = value << 8 | (bits >> have & 0xff);
            if (bytes == 1 && value > 0x7f) return 0; /* negative */
        }
    }
    *out = (int64_t)value;
    return 1;
}

/* What an integer with `scale` digits behind the point is in minor units, of `places` digits. */
static int scaled_at(Text t, int64_t scale, int64_t places, int64_t *out) {
    if (!unscaled_at(t, out)) return 0;
    for (; places > scale; places--) {
        if (*out > MOST_AMOUNT) return 0;
        *out *= 10;
    }
    for (; scale > places; scale--) {
        if (*out % 10) return 0;
        *out /= 10;
    }
    return *out <= MOST_AMOUNT;
}

/* Of at most eleven digits before the point, and currencies with four behind it at most: within 2^53. */
static int amount_at(Text t, int64_t unit, int64_t scale, int64_t currency_digits, int64_t *out) {
    *out = 0;
    if (is_nothing(t)) return 1;
    if (scale >= 0) return scaled_at(t, scale, unit == MAJOR ? currency_digits : 0, out);
    if (unit == MINOR && is_plain_integer(t)) {
        *out = integer_of(t);
        return *out <= MOST_AMOUNT;
    }
    return number_at(t, unit == MAJOR ? currency_digits : 0, 11, out);
}

static int energy_at(const Reader *r, Value energy, Value less, int64_t unit, int64_t *wh) {
    Text t = found(r, energy), off = found(r, less);
    *wh = NO_VALUE;
    if (is_nothing(t) || (less.place >= 0 && is_nothing(off))) return 1;
    if (less.place >= 0) {
        if (!is_plain_integer(t) || !is_plain_integer(off)) return 0;
        *wh = integer_of(t) - integer_of(off);
        return *wh >= 0 && *wh <= MOST_WH;
    }
    return unit == WATT_HOURS ? number_at(t, 0, 9, wh) : number_at(t, 3, 6, wh);
}

/* -- records */

static int common(const Reader *r, const Common *of, int counts_as, Event *e) {
    const Program *p = r->p;
    int64_t counts;
    memset(e, 0, sizeof *e);
    e->ended_ms = e->wh = NO_VALUE;
    if (!named_at(r, p->operator_id, p->operators, &e->operator_id) || !optional_id_at(found(r, p->customer), &e->customer)) return 0;
    if (e->customer.length && meaning(r, e->customer, p->anonymous) >= 0) e->customer = (Text){NULL, 0};
    if (!named_at(r, of->id, of->ids, &e->id) || !word_at(r, of->status, of->statuses, &counts)) return 0;
    e->counted = counts ? counts_as : 0;
    return time_at(r, found(r, of->time), of->time_form, &e->time_ms) && version_at(found(r, of->version), of->version, &e->version);
}

static int session(const Reader *r, Event *e) {
    const Program *p = r->p;
    if (!common(r, &p->session, AS_SESSION, e)) return 0;
    Text ended = found(r, p->ended);
    if (!is_nothing(ended) && !(is_string(ended) && ended.length == 2) && !time_at(r, ended, p->ended_form, &e->ended_ms)) return 0;
    return energy_at(r, p->energy, p->less, p->energy_unit, &e->wh);
}

static int payment(const Reader *r, Event *e) {
    const Program *p = r->p;
    int64_t currency;
    if (!common(r, &p->payment, AS_PAYMENT, e) || !word_at(r, p->currency, p->currencies, &currency)) return 0;
    e->currency = (Text){r->currencies + 3 * currency, 3};
    if (!amount_at(found(r, p->received), p->received_unit, p->received_scale, r->digits[currency], &e->received)) return 0;
    if (!amount_at(found(r, p->discount), p->discount_unit, p->discount_scale, r->digits[currency], &e->discount)) return 0;
    if (!amount_at(found(r, p->refunded), p->refunded_unit, p->refunded_scale, r->digits[currency], &e->refunded)) return 0;
    if (e->refunded > e->received || !optional_id_at(found(r, p->paid_session), &e->session)) return 0;
    if (e->refunded > 0 && e->received == e->refunded) e->counted = 0;
    return 1;
}

static void begin_value(Reader *r) {
    memset(r->places, 0, sizeof r->places);
    memset(r->seen, 0, sizeof r->seen);
    r->typed.places = r->places;
    r->typed.passing = 0;
}

/* Note what stands at all places of a value. `root`: the type of its records; NULL: JSON. */
static int read_places(Reader *r, Cursor c, const Type **root) {
    *root = NULL;
    begin_value(r);
    if (r->schema_count) { /* a zero byte, and the id of a schema */
        uint64_t zero, id;
        int64_t at = 0;
        if (!get_big_endian(&c, 1, &zero) || zero || !get_big_endian(&c, 4, &id)) return 0;
        while (at < r->schema_count && r->schemas[2 * at] != (int64_t)id) at++;
        if (at == r->schema_count) return 0;
        if (r->schemas[2 * at + 1] >= 0) {
            *root = r->typed.types + r->schemas[2 * at + 1];
            return read_typed(&r->typed, c, *root);
        }
    }
    if (!read_node(r, &c, r->p->root, 0)) return 0;
    skip_space(&c);
    return c.at == c.end;
}

/* Whether the record as it was before a change names the same as the record does. */
static int names_the_same(const Reader *r, const Type *root, const Event *of_session, const Event *of_payment) {
    const Program *p = r->p;
    Reader was = *r;
    Text name, before = r->places[p->before];
    begin_value(&was);
    /* Which records conditions leave out of the one before is looked at in Python. */
    if (p->where.count || p->session.where.count || p->payment.where.count) return 0;
    if (root != NULL ? !read_inner(&was.typed, r->typed.inner, r->typed.inner_type, root->kind == MESSAGES) : !read_node(&was, &(Cursor){before.at, before.at + before.length}, p->row, 0)) return 0;
    if (!named_at(&was, p->operator_id, p->operators, &name)) return 0;
    const Event *either = of_session != NULL ? of_session : of_payment;
    if (either == NULL || !is_same(name, either->operator_id)) return 0;
    if (p->session.is_there && !(named_at(&was, p->session.id, p->session.ids, &name) && is_same(name, of_session->id))) return 0;
    if (p->payment.is_there && !(of_payment != NULL && named_at(&was, p->payment.id, p->payment.ids, &name) && is_same(name, of_payment->id))) return 0;
    return 1;
}

static int is_change(Text operation) { return operation.length == 3 && (operation.at[1] == 'c' || operation.at[1] == 'u' || operation.at[1] == 'r'); }

/* The events of a value: which of both there are. */
static int read_value(Reader *r, Cursor c, Event *of_session, Event *of_payment, int *is_session, int *is_payment) {
    const Program *p = r->p;
    const Type *root;
    *is_session = *is_payment = 0;
    if (!read_places(r, c, &root)) return 0;
    if (p->envelope == CLOUD_EVENTS && !is_string(r->places[p->spec_version])) return 0;
    if (p->envelope == DEBEZIUM && (!is_nothing(r->places[p->payload]) || !is_string(r->places[p->operation]) || !is_change(r->places[p->operation]))) return 0;
    int is_meant = holds(r, p->where);
    if (is_meant < 0) return 0;
    *is_session = is_meant && p->session.is_there ? holds(r, p->session.where) : 0;
    *is_payment = is_meant && p->payment.is_there ? holds(r, p->payment.where) : 0;
    if (*is_session < 0 || *is_payment < 0) return 0;
    *is_payment = *is_payment && !is_nothing(found(r, p->received));
    if ((*is_session && !session(r, of_session)) || (*is_payment && !payment(r, of_payment))) return 0;
    if (is_meant && !*is_session && !*is_payment) { /* whose it is has to be told all the same */
        Text name;
        if (!named_at(r, p->operator_id, p->operators, &name) || !optional_id_at(found(r, p->customer), &name)) return 0;
    }
    if (p->envelope != DEBEZIUM || is_nothing(r->places[p->before])) return 1;
    return names_the_same(r, root, p->session.is_there ? of_session : NULL, *is_payment ? of_payment : NULL);
}

static int64_t room_of(const Event *e) { return ROW_BYTES + PART_BYTES + e->operator_id.length + e->id.length + e->customer.length + e->session.length; }

/* As stream_app_source_records, of records by a map. `tree`: nodes, fields, words, conditions, schemas, the clock of a zone and types, of which `sizes` has how many numbers all but the last have, and how many
 * places there are. `totals`: the number of parts of sessions, that of payments behind them, and of sessions taken whose energy is not known. 1: `out` is smaller than the first of `totals`. */
int32_t stream_app_mapped_records(
    const int64_t *program, const uint8_t *texts, const int64_t *tree, const int64_t *sizes, const uint8_t *currencies, const int64_t *digits_of_currencies,
    const uint8_t *data, int64_t count, const int64_t *lengths, const int64_t *timestamps, const int64_t *offsets, int64_t partition, int64_t oldest_ms, int64_t latest_ms,
    int64_t events_max, int64_t bytes_max, uint8_t *out, int64_t out_size, int64_t *parts, uint8_t *left, int64_t *totals) {
    const int64_t *fields = tree + sizes[0], *words = fields + sizes[1], *conditions = words + sizes[2], *schemas = conditions + sizes[3], *clock = schemas + sizes[4], *types = clock + sizes[5];
    Reader r = {
        (const Program *)program, texts, tree, fields, words, conditions, currencies, digits_of_currencies, schemas, sizes[4] / 2, clock, sizes[5] ? sizes[5] - 1 : 0,
        {(const Type *)types, texts, NULL, {NULL}, {NULL, 0}, NULL, 0}, {{0}}, {0},
    };
    Batch sessions = {0}, payments = {0};
    uint8_t *said = NULL;
    int64_t bytes = 0, room = 0;
    int32_t failed = -1;
    for (int64_t i = 0; i < count; i++) bytes += lengths[i];
    if (r.schema_count && (said = malloc((size_t)(bytes + (count + 1) * (sizes[6] + 1) * SAID_BYTES))) == NULL) goto done;
    if (!begin_batch(&sessions, count) || !begin_batch(&payments, count)) goto done;
    r.typed.said.at = said;
    const uint8_t *at = data;
    for (int64_t i = 0; i < count; at += lengths[i], i++) {
        Event *of_session = sessions.events + i, *of_payment = payments.events + i;
        int is_session, is_payment;
        left[i] = 1;
        if (!read_value(&r, (Cursor){at, at + lengths[i]}, of_session, of_payment, &is_session, &is_payment)) continue;
        if (is_session && (of_session->time_ms < oldest_ms || of_session->time_ms > latest_ms)) continue;
        if (is_payment && (of_payment->time_ms < oldest_ms || of_payment->time_ms > latest_ms)) continue;
        left[i] = 0;
        if (is_session) {
            add_event(&sessions, (int32_t)i);
            room += room_of(of_session);
        }
        if (is_payment) {
            add_event(&payments, (int32_t)i);
            room += room_of(of_payment);
        }
    }
    totals[0] = room;
    failed = room > out_size;
    if (failed) goto done;
    Written w = {out, {out}, parts, 0, 0};
    write_parts(&sessions, SESSION, timestamps, offsets, partition, events_max, bytes_max, &w);
    totals[0] = w.made;
    write_parts(&payments, PAYMENT, timestamps, offsets, partition, events_max, bytes_max, &w);
    totals[1] = w.made - totals[0];
    totals[2] = w.unknown_energy;
done:
    free(sessions.block);
    free(payments.block);
    free(said);
    return failed;
}
