/* Sessions, payments and memberships applied to the rows of customers and cells, from frames to rows: what domain/ledger.py (`_upsert`, `_move`),
 * domain/rules.py, domain/sums.py and domain/working.py (`fold`) do together, for what nearly all events and rows are. An entity with anything unusual is left
 * to those, with all of its events and those of its customers: a row of another format, an integer beyond 64 bits, an event that may be too late, a time that no
 * table has, a customer in very many groups; and so is a cell, with its differences. Which figures and tables there are is told by who calls.
 *
 * Five calls, between which rows are loaded: `begin` reads the events and names their entities; `customers` reads the rows of these and names the customers;
 * `apply` reads theirs, and makes what changes; `cells` names the cells that it concerns; `fold` adds to these. No Python inside; `end` frees all.
 */

#include "buffer.h"
#include "msgpack.h"

enum { SESSION = 1, PAYMENT = 2, MEMBERSHIP = 4 }; /* domain/events.py, as are the fields of rows */
enum { VERSION, COUNTED = 5, TIME, HOLD, CUSTOMER, ENERGY, LASTED = 11, CURRENCY = 15, SESSION_ID, PAYMENT_FIELDS };
enum { STAMP_FIELDS = 5, MEMBERSHIP_FIELDS, SESSION_FIELDS = 12 };
enum { ROW_MARK = 2 }; /* formats/rows.py */
enum { TEXT_MAX = 255, /* of what put_text writes */ DAY_QUARTERS = 96, TERMS_MAX = 4, PARTS_MAX = 16, GROUPS_MAX = 64 };
enum { DONE = 0, NO_MEMORY = -1, TOO_LARGE = -2 };

/* -- memory */

typedef struct Block {
    struct Block *next;
} Block;

/* What lives until `end`, and does not move. */
typedef struct {
    Block *blocks;
    uint8_t *at, *end;
} Arena;

static void *allocate(Arena *a, int64_t bytes) {
    enum { SIZE = 1 << 16 };
    bytes = (bytes + 15) & ~INT64_C(15);
    if (a->end - a->at < bytes) {
        int64_t size = bytes > SIZE ? bytes : SIZE;
        Block *block = malloc(sizeof(Block) + 16 + (size_t)size);
        if (block == NULL) return NULL;
        block->next = a->blocks;
        a->blocks = block;
        a->at = (uint8_t *)(((uintptr_t)(block + 1) + 15) & ~(uintptr_t)15);
        a->end = a->at + size;
    }
    void *found = a->at;
    a->at += bytes;
    return found;
}

/* Places of things by the hash of their names; a number below 0: none. At most half full. */
typedef struct {
    int32_t *places;
    int64_t size, used;
} Table;

static int start_table(Table *t, int64_t count) {
    for (t->size = 64; t->size < 2 * count + 2;) t->size *= 2;
    t->used = 0;
    t->places = malloc((size_t)t->size * sizeof(int32_t));
    if (t->places == NULL) return 0;
    memset(t->places, 0xff, (size_t)t->size * sizeof(int32_t));
    return 1;
}

/* Have room for one more of the things `of`; 0 without memory. */
static int has_room(Table *t, uint64_t (*hash_at)(const void *of, int64_t index), const void *of) {
    if (2 * t->used < t->size) return 1;
    Table grown;
    if (!start_table(&grown, 2 * t->used)) return 0;
    for (int64_t i = 0; i < t->used; i++) {
        uint64_t place = hash_at(of, i) & (uint64_t)(grown.size - 1);
        while (grown.places[place] >= 0) place = (place + 1) & (uint64_t)(grown.size - 1);
        grown.places[place] = (int32_t)i;
    }
    grown.used = t->used;
    free(t->places);
    *t = grown;
    return 1;
}

/* -- rows of entities */

typedef struct {
    int64_t values[PAYMENT_FIELDS];
    Text customer, currency;
    Text encoded, hold;   /* the whole row, and its field HOLD */
    Text stamp, groups;   /* of a membership: its first fields, its groups */
    int64_t group_count;
} Row;

static int get_row(int kind, Cursor *c, Row *row) {
    int64_t fields;
    Text ignored;
    memset(row, 0, sizeof *row);
    const uint8_t *from = c->at;
    if (!get_array(c, &fields) || fields != (kind == SESSION ? SESSION_FIELDS : PAYMENT_FIELDS)) return 0;
    for (int field = 0; field < fields; field++) {
        const uint8_t *at = c->at;
        switch (field) {
        case CUSTOMER:
            if (!get_nil(c) && !(get_text(c, &row->customer) && row->customer.length > 0)) return 0;
            break;
        case CURRENCY:
            if (!get_text(c, &row->currency) || row->currency.length == 0 || row->currency.length > TEXT_MAX) return 0;
            break;
        case SESSION_ID:
            if (!get_nil(c) && !get_text(c, &ignored)) return 0;
            break;
        case ENERGY:
        case LASTED:
            if (!get_nil(c) && !get_integer(c, row->values + field)) return 0;
            break;
        default:
            if (!get_integer(c, row->values + field)) return 0;
        }
        if (field == HOLD) row->hold = (Text){at, c->at - at};
    }
    row->encoded = (Text){from, c->at - from};
    return 1;
}

static int get_membership(Cursor *c, Row *row) {
    int64_t fields;
    Text ignored;
    memset(row, 0, sizeof *row);
    if (!get_array(c, &fields) || fields != MEMBERSHIP_FIELDS) return 0;
    row->stamp.at = c->at;
    for (int field = VERSION; field < STAMP_FIELDS; field++)
        if (!get_integer(c, row->values + field)) return 0;
    row->stamp.length = c->at - row->stamp.at;
    if (!get_array(c, &row->group_count)) return 0;
    row->groups.at = c->at;
    for (int64_t i = 0; i < row->group_count; i++)
        if (!get_text(c, &ignored) || ignored.length == 0 || ignored.length > TEXT_MAX) return 0;
    row->groups.length = c->at - row->groups.at;
    return 1;
}

/* Of two stamps. */
static int is_later(const int64_t *new, const int64_t *old) {
    for (int field = VERSION; field < STAMP_FIELDS; field++)
        if (new[field] != old[field]) return new[field] > old[field];
    return 0;
}

static int64_t known_until(const Row *row) { return row->values[HOLD] ? row->values[HOLD] : row->values[TIME]; }

/* -- figures, as domain/sums.py lays them out */

typedef struct {
    int64_t at, own_at, constant, terms, fields[TERMS_MAX], times[TERMS_MAX];
} Amount;

typedef struct {
    int64_t size, own_size, count_at, own_count_at, sums_count, customers_count, tallies_count, parts_count;
} Counts;

typedef struct {
    Counts n;
    const Amount *sums, *tallies, *parts;
    const int64_t *customers_at;
} Layout;

static Layout layout_of(const int64_t *at) {
    Layout l;
    memcpy(&l.n, at, sizeof l.n);
    at += sizeof l.n / 8;
    l.sums = (const Amount *)at;
    l.tallies = l.sums + l.n.sums_count;
    l.parts = l.tallies + l.n.tallies_count;
    l.customers_at = (const int64_t *)(l.parts + l.n.parts_count);
    return l;
}

/* What an event adds (sign 1), or takes back (-1). */
static int64_t amount_of(const Amount *amount, const Row *row, int sign, int *overflow) {
    int64_t sum = amount->constant, by;
    for (int64_t i = 0; i < amount->terms; i++) {
        *overflow |= __builtin_mul_overflow(row->values[amount->fields[i]], amount->times[i], &by);
        *overflow |= __builtin_add_overflow(sum, by, &sum);
    }
    *overflow |= __builtin_mul_overflow(sum, sign, &sum);
    return sum;
}

static void add_to(int64_t *sum, int64_t by, int *overflow) { *overflow |= __builtin_add_overflow(*sum, by, sum); }

static void add_anonymous(const Layout *l, int64_t *cell, const Row *row, int sign, int *overflow) {
    add_to(cell + l->n.count_at, sign, overflow);
    for (const Amount *a = l->sums; a < l->sums + l->n.sums_count; a++) add_to(cell + a->at, amount_of(a, row, sign, overflow), overflow);
    for (const Amount *a = l->parts; a < l->parts + l->n.parts_count; a++) add_to(cell + a->at, amount_of(a, row, sign, overflow), overflow);
}

/* Does anything of the customer's count after it? */
static int add(const Layout *l, int64_t *cell, int64_t *own, const Row *row, int sign, int *overflow) {
    add_to(cell + l->n.count_at, sign, overflow);
    add_to(own + l->n.own_count_at, sign, overflow);
    for (const Amount *a = l->sums; a < l->sums + l->n.sums_count; a++) {
        int64_t by = amount_of(a, row, sign, overflow);
        add_to(cell + a->at, by, overflow);
        add_to(own + a->own_at, by, overflow);
    }
    int64_t count = own[l->n.own_count_at];
    if (count == (sign > 0)) /* 0 to 1, or 1 to 0 */
        for (int64_t i = 0; i < l->n.customers_count; i++) add_to(cell + l->customers_at[i], sign, overflow);
    for (const Amount *a = l->tallies; a < l->tallies + l->n.tallies_count; a++)
        if (amount_of(a, row, 1, overflow) > 0) {
            add_to(own + a->own_at, sign, overflow);
            if (own[a->own_at] == (sign > 0)) add_to(cell + a->at, sign, overflow);
        }
    return count != 0;
}

/* All that a customer's list holds. */
static void add_customer(const Layout *l, int64_t *cell, const int64_t *own, int sign, int *overflow) {
    add_to(cell + l->n.count_at, sign * own[l->n.own_count_at], overflow);
    for (const Amount *a = l->sums; a < l->sums + l->n.sums_count; a++) {
        int64_t by;
        *overflow |= __builtin_mul_overflow(own[a->own_at], sign, &by);
        add_to(cell + a->at, by, overflow);
    }
    for (int64_t i = 0; i < l->n.customers_count; i++) add_to(cell + l->customers_at[i], sign, overflow);
    for (const Amount *a = l->tallies; a < l->tallies + l->n.tallies_count; a++)
        if (own[a->own_at] > 0) add_to(cell + a->at, sign, overflow);
}

/* -- differences of cells: rows of `width` numbers, of which the first `key_width` name one */

typedef struct {
    Buffer rows;
    Table table;
    int64_t width, key_width;
} Differences;

static uint64_t hash_numbers(const int64_t *key, int64_t count) {
    uint64_t h = 0;
    for (int64_t i = 0; i < count; i++) {
        h = (h ^ (uint64_t)key[i]) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 29;
    }
    return h;
}

static uint64_t hash_of_difference(const void *of, int64_t index) {
    const Differences *d = of;
    return hash_numbers((const int64_t *)d->rows.data + index * d->width, d->key_width);
}

static int64_t *difference(Differences *d, const int64_t *key) {
    if (!has_room(&d->table, hash_of_difference, d)) return NULL;
    uint64_t place = hash_numbers(key, d->key_width) & (uint64_t)(d->table.size - 1);
    for (; d->table.places[place] >= 0; place = (place + 1) & (uint64_t)(d->table.size - 1)) {
        int64_t *row = numbers(&d->rows) + d->table.places[place] * d->width;
        if (memcmp(row, key, (size_t)d->key_width * 8) == 0) return row + d->key_width;
    }
    if (!reserve(&d->rows, 8 * d->width)) return NULL;
    d->table.places[place] = (int32_t)d->table.used++;
    int64_t *row = (int64_t *)(d->rows.data + d->rows.used);
    memset(row, 0, (size_t)d->width * 8);
    memcpy(row, key, (size_t)d->key_width * 8);
    d->rows.used += 8 * d->width;
    return row + d->key_width;
}

static void free_differences(Differences *d) {
    free(d->rows.data);
    free(d->table.places);
}

/* -- names, each once */

typedef struct {
    Buffer texts;
    Table table;
} Names;

static Text *name_at(const Names *n, int64_t index) { return (Text *)n->texts.data + index; }

static uint64_t hash_of_name(const void *of, int64_t index) { return hash(*name_at(of, index)); }

/* The number of a name; below 0 without memory. */
static int64_t number_of(Names *n, Text name) {
    if (!has_room(&n->table, hash_of_name, n)) return -1;
    uint64_t place = hash(name) & (uint64_t)(n->table.size - 1);
    for (; n->table.places[place] >= 0; place = (place + 1) & (uint64_t)(n->table.size - 1))
        if (is_same(*name_at(n, n->table.places[place]), name)) return n->table.places[place];
    if (!reserve(&n->texts, (int64_t)sizeof(Text))) return -1;
    *(Text *)(n->texts.data + n->texts.used) = name;
    n->texts.used += (int64_t)sizeof(Text);
    n->table.places[place] = (int32_t)n->table.used;
    return n->table.used++;
}

/* -- customers */

/* What a part of a customer's row maps to: currency -> period -> sums, period -> sums, or key -> count. */
typedef enum { AS_READ, BY_CURRENCY, BY_PERIOD, COUNTS_BY_KEY } Shape;

/* A part of a customer's row: as it was read, or as items of `stride` numbers, of which the first `keys` name one. */
typedef struct {
    Text name, encoded;
    Shape shape;
    int64_t *items;
    int64_t count, room, stride, keys;
} Part;

typedef struct {
    int64_t operator, needs; /* bits of the tables' parts that events look at */
    Text id, groups, stamp;
    Part *parts;
    int64_t part_count, group_set, version[STAMP_FIELDS];
    int is_unusual, is_changed, moves; /* moves: a membership is among the events */
} Customer;

typedef struct {
    Row row;
    int32_t part, entity, customer; /* -1 for none */
} Event;

typedef struct {
    Text id;
    Row *old; /* NULL: it is not there */
    int32_t part, old_customer, is_left, is_changed;
} Entity;

typedef struct {
    int64_t operator, kind, ids_bytes, rows_bytes;
} PartOfFrame;

typedef struct {
    int64_t zone, horizon; /* a number of `days` tables, the first quarter hour that the operator keeps */
} Operator;

typedef struct {
    Text payments, sessions; /* names of a customer's parts */
    const int64_t *first;    /* by operator: the first period that is kept */
} FigureTable;

typedef struct {
    Text name;
    const int64_t *first; /* by operator: the first key that is kept */
} CountTable;

typedef struct {
    Layout payments, sessions;
    FigureTable figures[PARTS_MAX];
    CountTable counts[PARTS_MAX];
    int64_t figure_count, count_count;
} Rules;

/* Tables of an instant: for each zone addresses by day, 0: not there yet, of the numbers of each quarter hour: period by table of figures, then key of a
 * customer's count by table of counts. */
typedef struct {
    const int64_t *const *zones;
    int64_t first_day, days, width;
} Times;

/* Of differences: of payments by (table, operator, set of groups, period, currency), of sessions without the currency, of counts by key instead of period. */
enum { PAID, CAME, BY_SLOT, KINDS };
enum { KEYS = 4, PAID_KEYS, CELL_KEYS = 3, CELL_WIDTH = 5 };

typedef struct {
    Arena arena;
    Event *events;
    Entity *entities;
    Customer *customers;
    PartOfFrame *parts;
    Text *operator_ids;
    int64_t event_count, entity_count, customer_count, part_count, operator_count;
    Table entity_table, customer_table;
    Buffer names, ends, missing, rows, row_ends, groups, group_ends;
    Names group_sets, currency_names, group_names;
    Differences differences[KINDS]; /* named by KEYS numbers, and PAID_KEYS */
    Differences cells[2 * PARTS_MAX]; /* by table, of figures, then of counts: (operator, group, period), then the first and the last of its links, from 1 on */
    Buffer links, left[KINDS], paid, set_places, set_groups;
    const Operator *operators;
    Rules rules;
    Times times;
    int64_t known_from;
} Run;

static const Text ALL_GROUPS = {(const uint8_t *)"\x91\xa3" "ALL", 5};
static const Text NEVER = {(const uint8_t *)"\x95\xff\0\0\0\0", 6};

static int append_name(Run *run, int first, Text operator_id, int kind, Text id) {
    Buffer *b = &run->names;
    if (!reserve(b, operator_id.length + id.length + 3)) return 0;
    Out o = {b->data + b->used};
    byte(&o, first);
    put_bytes(&o, operator_id);
    byte(&o, 0);
    if (kind) byte(&o, kind);
    put_bytes(&o, id);
    b->used = o.at - b->data;
    return push(&run->ends, b->used);
}

void stream_app_upserts_end(Run *run) {
    if (run == NULL) return;
    for (Block *block = run->arena.blocks; block != NULL;) {
        Block *next = block->next;
        free(block);
        block = next;
    }
    Buffer *buffers[] = {
        &run->names, &run->ends, &run->missing, &run->rows, &run->row_ends, &run->groups, &run->group_ends,
        &run->group_sets.texts, &run->currency_names.texts, &run->group_names.texts, &run->links, &run->paid, &run->set_places,
        &run->set_groups,
    };
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) free(buffers[i]->data);
    Table *tables[] = {&run->entity_table, &run->customer_table, &run->group_sets.table, &run->currency_names.table, &run->group_names.table};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) free(tables[i]->places);
    for (int kind = 0; kind < KINDS; kind++) free(run->left[kind].data);
    for (int kind = 0; kind < KINDS; kind++) free_differences(run->differences + kind);
    for (int table = 0; table < 2 * PARTS_MAX; table++) free_differences(run->cells + table);
    free(run->customers);
    free(run);
}

/* -- first call: events, and the names of their entities */

static int entity_of(Run *run, int32_t part, Text id, int32_t *out) {
    const PartOfFrame *own = run->parts + part;
    uint64_t mixed = hash(id) ^ (uint64_t)(own->operator * 4 + own->kind) * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t place = mixed & (uint64_t)(run->entity_table.size - 1);
    for (; run->entity_table.places[place] >= 0; place = (place + 1) & (uint64_t)(run->entity_table.size - 1)) {
        const Entity *e = run->entities + run->entity_table.places[place];
        const PartOfFrame *other = run->parts + e->part;
        if (other->operator == own->operator && other->kind == own->kind && is_same(e->id, id)) {
            *out = run->entity_table.places[place];
            return 1;
        }
    }
    *out = run->entity_table.places[place] = (int32_t)run->entity_count;
    run->entities[run->entity_count++] = (Entity){.id = id, .part = part, .old_customer = -1};
    return append_name(run, 'e', run->operator_ids[own->operator], (int)own->kind, id);
}

/* The events of a part; 0 where one of them is unusual, and then none of them is there. */
static int get_part(Run *run, int32_t part, const uint8_t *data) {
    const PartOfFrame *own = run->parts + part;
    Cursor ids = {data, data + own->ids_bytes}, rows = {data + own->ids_bytes, data + own->ids_bytes + own->rows_bytes};
    int64_t count, row_count;
    if (!get_array(&ids, &count) || !get_array(&rows, &row_count) || count != row_count || count > own->ids_bytes) return 0;
    Cursor looked_at = ids;
    Text id = {ids.at, 0};
    for (int64_t i = 0; i < count; i++) {
        Event *e = run->events + run->event_count + i;
        if (!get_binary(&looked_at, &id) || !(own->kind == MEMBERSHIP ? get_membership(&rows, &e->row) : get_row((int)own->kind, &rows, &e->row))) return 0;
        e->part = part;
        e->entity = e->customer = -1;
        if (own->kind == MEMBERSHIP) e->row.customer = id;
    }
    if (looked_at.at != looked_at.end || rows.at != rows.end) return 0;
    for (int64_t i = 0; i < count && own->kind != MEMBERSHIP; i++) {
        get_binary(&ids, &id);
        if (!entity_of(run, part, id, &run->events[run->event_count + i].entity)) return NO_MEMORY;
    }
    run->event_count += count;
    return 1;
}

/*
 * `data`: ids and rows of `part_count` parts of frames, one after the other, and must stay; `parts`: four numbers for each, see PartOfFrame, must stay;
 * `operator_ids`: those of `operator_count` operators one after the other, of these `lengths`, must stay.
 * `left`: becomes 1 for each part that is not taken. `results`: the run, numbers of events and entities, address and size of the entities' names, address
 * of their ends. Returns 0 or NO_MEMORY; then `end` is called all the same.
 */
int32_t stream_app_upserts_begin(
    const uint8_t *data, const int64_t *parts, int64_t part_count, const uint8_t *operator_ids, const int64_t *lengths, int64_t operator_count,
    uint8_t *left, int64_t *results) {
    Run *run = calloc(1, sizeof(Run));
    results[0] = (int64_t)(intptr_t)run;
    if (run == NULL) return NO_MEMORY;
    run->parts = (PartOfFrame *)(intptr_t)parts;
    run->part_count = part_count;
    run->operator_count = operator_count;
    run->operator_ids = allocate(&run->arena, operator_count * (int64_t)sizeof(Text));
    int64_t events_max = 0, count;
    const uint8_t *at = data;
    for (int64_t i = 0; i < part_count; at += run->parts[i].ids_bytes + run->parts[i].rows_bytes, i++)
        if (get_array(&(Cursor){at, at + run->parts[i].ids_bytes}, &count) && count <= run->parts[i].ids_bytes) events_max += count;
    run->events = allocate(&run->arena, events_max * (int64_t)sizeof(Event));
    run->entities = allocate(&run->arena, events_max * (int64_t)sizeof(Entity));
    if (run->operator_ids == NULL || run->events == NULL || run->entities == NULL || !start_table(&run->entity_table, events_max)) return NO_MEMORY;
    for (int64_t i = 0; i < operator_count; operator_ids += lengths[i], i++) run->operator_ids[i] = (Text){operator_ids, lengths[i]};
    for (int32_t part = 0; part < part_count; part++) {
        int found = get_part(run, part, data);
        if (found == NO_MEMORY) return NO_MEMORY;
        left[part] = !found;
        data += run->parts[part].ids_bytes + run->parts[part].rows_bytes;
    }
    results[1] = run->event_count;
    results[2] = run->entity_count;
    results[3] = (int64_t)(intptr_t)run->names.data;
    results[4] = run->names.used;
    results[5] = (int64_t)(intptr_t)run->ends.data;
    return DONE;
}

/* -- second call: rows of entities, and the names of the customers */

static int customer_of(Run *run, int64_t operator, Text id, int32_t *out) {
    uint64_t place = (hash(id) ^ (uint64_t)operator * UINT64_C(0x9e3779b97f4a7c15)) & (uint64_t)(run->customer_table.size - 1);
    for (; run->customer_table.places[place] >= 0; place = (place + 1) & (uint64_t)(run->customer_table.size - 1)) {
        const Customer *c = run->customers + run->customer_table.places[place];
        if (c->operator == operator && is_same(c->id, id)) {
            *out = run->customer_table.places[place];
            return 1;
        }
    }
    *out = run->customer_table.places[place] = (int32_t)run->customer_count;
    run->customers[run->customer_count++] = (Customer){.operator = operator, .id = id};
    return append_name(run, 'c', run->operator_ids[operator], 0, id);
}

static const int64_t *numbers_of(const Run *run, int64_t operator, int64_t quarter) {
    int64_t day = quarter / DAY_QUARTERS - run->times.first_day;
    if (quarter < 0 || day < 0 || day >= run->times.days) return NULL;
    const int64_t *table = run->times.zones[run->operators[operator].zone] + day;
    return *table ? (const int64_t *)(intptr_t)*table + quarter % DAY_QUARTERS * run->times.width : NULL;
}

/* What counts needs its customer, and the numbers of its instant: 0 without memory. */
static int prepare(Run *run, const Row *row, const PartOfFrame *part, int32_t *customer, int32_t *is_left) {
    const Operator *operator = run->operators + part->operator;
    int64_t quarter = row->values[TIME], day = quarter / DAY_QUARTERS - run->times.first_day;
    *customer = -1;
    if (!row->values[COUNTED] || quarter < operator->horizon) return 1;
    if (day < 0 || day >= run->times.days || quarter < 0) {
        *is_left = 1;
        return 1;
    }
    if (!run->times.zones[operator->zone][day]) {
        int64_t *last = run->missing.used ? numbers(&run->missing) + run->missing.used / 8 - 2 : NULL;
        if (last == NULL || last[0] != operator->zone || last[1] != day)
            if (!push(&run->missing, operator->zone) || !push(&run->missing, day)) return 0;
    }
    if (row->customer.length == 0) return 1;
    if (!customer_of(run, part->operator, row->customer, customer)) return 0;
    run->customers[*customer].needs |= part->kind;
    return 1;
}

/*
 * `values`: those of the entities one after the other, of these `lengths`, 0 for none, must stay; `operators`: two numbers for each, must stay; `zones`: their
 * tables (see Times), must stay. `known_from`: the first quarter hour that any zone keeps. `results`: number of customers, address and size of their names,
 * address of their ends, then pairs of (zone, day) that the tables lack: their address and number.
 */
int32_t stream_app_upserts_customers(
    Run *run, const uint8_t *values, const int64_t *lengths, const int64_t *operators, const int64_t *zones, int64_t first_day, int64_t days,
    int64_t times_width, int64_t known_from, int64_t *results) {
    run->operators = (const Operator *)operators;
    run->times = (Times){(const int64_t *const *)(intptr_t)zones, first_day, days, times_width};
    run->known_from = known_from;
    run->names.used = run->ends.used = 0;
    int64_t most = run->event_count + run->entity_count;
    run->customers = malloc((size_t)(most + 1) * sizeof(Customer));
    if (run->customers == NULL || !start_table(&run->customer_table, most)) return NO_MEMORY;
    for (int64_t i = 0; i < run->entity_count; values += lengths[i], i++) {
        Entity *e = run->entities + i;
        if (lengths[i] == 0) continue;
        const PartOfFrame *part = run->parts + e->part;
        Cursor c = {values + 1, values + lengths[i]};
        e->old = allocate(&run->arena, sizeof(Row));
        if (e->old == NULL) return NO_MEMORY;
        if (values[0] != ROW_MARK || !get_row((int)part->kind, &c, e->old) || c.at != c.end) {
            e->is_left = 1;
            continue;
        }
        if (known_until(e->old) >= known_from && !prepare(run, e->old, part, &e->old_customer, &e->is_left)) return NO_MEMORY;
    }
    for (int64_t i = 0; i < run->event_count; i++) {
        Event *e = run->events + i;
        if (e->entity < 0) {
            if (!customer_of(run, run->parts[e->part].operator, e->row.customer, &e->customer)) return NO_MEMORY;
            Customer *customer = run->customers + e->customer;
            customer->moves = 1;
            customer->needs |= SESSION | PAYMENT;
            customer->is_unusual |= e->row.group_count > GROUPS_MAX;
            continue;
        }
        Entity *entity = run->entities + e->entity;
        if (e->row.values[TIME] < known_from) entity->is_left = 1;
        if (!prepare(run, &e->row, run->parts + e->part, &e->customer, &entity->is_left)) return NO_MEMORY;
    }
    results[0] = run->customer_count;
    results[1] = (int64_t)(intptr_t)run->names.data;
    results[2] = run->names.used;
    results[3] = (int64_t)(intptr_t)run->ends.data;
    results[4] = (int64_t)(intptr_t)run->missing.data;
    results[5] = run->missing.used / 16;
    return DONE;
}

/* -- third call: rows of customers, and what changes */

static int64_t *new_item(Run *run, Part *part) {
    if (part->count == part->room) {
        int64_t room = part->room ? 2 * part->room : 4;
        int64_t *items = allocate(&run->arena, room * part->stride * 8);
        if (items == NULL) return NULL;
        if (part->count) memcpy(items, part->items, (size_t)(part->count * part->stride) * 8);
        part->items = items;
        part->room = room;
    }
    int64_t *item = part->items + part->count++ * part->stride;
    memset(item, 0, (size_t)part->stride * 8);
    return item;
}

static int64_t *find_item(const Part *part, const int64_t *key) {
    int64_t *item = part->items;
    for (int64_t i = 0; i < part->count; i++, item += part->stride)
        if (item[0] == key[0] && (part->keys == 1 || item[1] == key[1])) return item;
    return NULL;
}

static void drop_item(Part *part, int64_t *item) {
    int64_t *end = part->items + part->count-- * part->stride;
    memmove(item, item + part->stride, (size_t)(end - item - part->stride) * 8);
}

static int get_periods(Run *run, Cursor *c, Part *part, int64_t currency) {
    int64_t periods, values;
    if (!get_map(c, &periods)) return 0;
    while (periods-- > 0) {
        int64_t *item = new_item(run, part);
        if (item == NULL) return NO_MEMORY;
        if (part->keys == 2) item[0] = currency;
        if (!get_integer(c, item + part->keys - 1) || !get_array(c, &values) || values > part->stride - part->keys) return 0;
        for (int64_t i = 0; i < values; i++) /* of fewer figures, from before one was added: the others are zero */
            if (!get_integer(c, item + part->keys + i)) return 0;
    }
    return 1;
}

/* A part's items, decoded; `values`: how many sums each has. */
static int decode_part(Run *run, Part *part, Shape shape, int64_t values) {
    if (part->shape != AS_READ) return 1;
    part->shape = shape;
    part->keys = shape == BY_CURRENCY ? 2 : 1;
    part->stride = part->keys + (shape == COUNTS_BY_KEY ? 1 : values);
    if (part->encoded.length == 0) return 1;
    Cursor c = {part->encoded.at, part->encoded.at + part->encoded.length};
    int64_t count;
    int found = 1;
    Text name;
    if (shape == BY_PERIOD) {
        found = get_periods(run, &c, part, 0);
    } else {
        if (!get_map(&c, &count)) return 0;
        for (; count > 0 && found == 1; count--) {
            if (shape == BY_CURRENCY) {
                if (!get_text(&c, &name) || name.length == 0 || name.length > TEXT_MAX) return 0;
                int64_t currency = number_of(&run->currency_names, name);
                found = currency < 0 ? NO_MEMORY : get_periods(run, &c, part, currency);
            } else {
                int64_t *item = new_item(run, part);
                if (item == NULL) return NO_MEMORY;
                if (!get_integer(&c, item) || !get_integer(&c, item + 1)) return 0;
            }
        }
    }
    return found == 1 ? c.at == c.end : found;
}

/* The part of a name, made where there is none; NULL where there are too many. */
static Part *part_of(Customer *customer, Text name) {
    for (int64_t i = 0; i < customer->part_count; i++)
        if (is_same(customer->parts[i].name, name)) return customer->parts + i;
    if (customer->part_count == PARTS_MAX) return NULL;
    Part *part = customer->parts + customer->part_count++;
    *part = (Part){.name = name};
    return part;
}

static int decode_needed(Run *run, Customer *customer, Text name, Shape shape, int64_t values) {
    Part *part = part_of(customer, name);
    return part == NULL ? 0 : decode_part(run, part, shape, values);
}

/* The row of a customer: 0 where something in it is unusual. */
static int get_customer(Run *run, const Rules *rules, Customer *customer, Text value) {
    customer->parts = allocate(&run->arena, PARTS_MAX * (int64_t)sizeof(Part));
    if (customer->parts == NULL) return NO_MEMORY;
    customer->groups = ALL_GROUPS;
    customer->stamp = NEVER;
    if (value.length > 0) {
        int64_t count;
        Cursor c = {value.at + 1, value.at + value.length};
        if (value.at[0] != ROW_MARK || !get_array(&c, &count) || count != 3) return 0;
        if (!get_any(&c, &customer->groups) || !get_any(&c, &customer->stamp) || !get_map(&c, &count) || count > PARTS_MAX) return 0;
        for (; count > 0; count--) {
            Part *part = customer->parts + customer->part_count++;
            *part = (Part){.shape = AS_READ};
            if (!get_text(&c, &part->name) || part->name.length == 0 || part->name.length > TEXT_MAX || !get_any(&c, &part->encoded)) return 0;
        }
        if (c.at != c.end) return 0;
    }
    if (customer->moves) {
        int64_t count;
        Cursor groups = {customer->groups.at, customer->groups.at + customer->groups.length}, stamp = {customer->stamp.at, customer->stamp.at + customer->stamp.length};
        if (!get_array(&groups, &count) || count > GROUPS_MAX + 1) return 0;
        for (Text group; count > 0; count--)
            if (!get_text(&groups, &group) || group.length == 0 || group.length > TEXT_MAX) return 0;
        if (!get_array(&stamp, &count) || count != STAMP_FIELDS) return 0;
        for (int field = VERSION; field < STAMP_FIELDS; field++)
            if (!get_integer(&stamp, customer->version + field)) return 0;
    }
    for (int64_t i = 0; i < rules->figure_count; i++) {
        int found = 1;
        if (customer->needs & PAYMENT) found = decode_needed(run, customer, rules->figures[i].payments, BY_CURRENCY, rules->payments.n.own_size);
        if (found == 1 && customer->needs & SESSION) found = decode_needed(run, customer, rules->figures[i].sessions, BY_PERIOD, rules->sessions.n.own_size);
        if (found != 1) return found;
    }
    for (int64_t i = 0; i < rules->count_count && customer->needs & SESSION; i++) {
        int found = decode_needed(run, customer, rules->counts[i].name, COUNTS_BY_KEY, 1);
        if (found != 1) return found;
    }
    customer->group_set = number_of(&run->group_sets, customer->groups);
    return customer->group_set < 0 ? NO_MEMORY : 1;
}

/* What an entity adds (sign 1), or takes back (-1). */
static int count(Run *run, const Rules *rules, const PartOfFrame *of, const Row *row, int32_t customer_at, int sign, int *overflow) {
    if (!row->values[COUNTED] || row->values[TIME] < run->operators[of->operator].horizon) return 1;
    Customer *customer = customer_at < 0 ? NULL : run->customers + customer_at;
    const int64_t *when = numbers_of(run, of->operator, row->values[TIME]);
    int64_t group_set = customer ? customer->group_set : number_of(&run->group_sets, ALL_GROUPS);
    int64_t currency = of->kind == PAYMENT ? number_of(&run->currency_names, row->currency) : 0;
    if (group_set < 0 || currency < 0 || when == NULL) return 0;
    if (customer) customer->is_changed = 1;
    const Layout *layout = of->kind == PAYMENT ? &rules->payments : &rules->sessions;
    for (int64_t i = 0; i < rules->figure_count; i++) {
        int64_t key[] = {i, of->operator, group_set, when[i], currency};
        int64_t *cell = difference(run->differences + (of->kind == PAYMENT ? PAID : CAME), key);
        if (cell == NULL) return 0;
        if (customer == NULL) {
            add_anonymous(layout, cell, row, sign, overflow);
            continue;
        }
        int64_t own_key[] = {of->kind == PAYMENT ? currency : when[i], when[i]};
        Part *part = part_of(customer, of->kind == PAYMENT ? rules->figures[i].payments : rules->figures[i].sessions);
        int64_t *own = find_item(part, own_key);
        if (own == NULL) {
            own = new_item(run, part);
            if (own == NULL) return 0;
            memcpy(own, own_key, (size_t)part->keys * 8);
        }
        if (!add(layout, cell, own + part->keys, row, sign, overflow)) drop_item(part, own);
    }
    for (int64_t i = 0; i < rules->count_count && of->kind == SESSION; i++) {
        const int64_t at[] = {when[rules->figure_count + i], 0};
        if (at[0] < rules->counts[i].first[of->operator]) continue;
        int64_t key[] = {i, of->operator, group_set, at[0]};
        int64_t *by = difference(run->differences + BY_SLOT, key);
        if (by == NULL) return 0;
        *by += sign;
        if (customer == NULL) continue;
        Part *part = part_of(customer, rules->counts[i].name);
        int64_t *own = find_item(part, at);
        if (own == NULL) {
            own = new_item(run, part);
            if (own == NULL) return 0;
            own[0] = at[0];
        }
        own[1] += sign;
        if (own[1] == 0) drop_item(part, own);
    }
    return 1;
}

static int upsert(Run *run, const Rules *rules, Event *event, int *overflow) {
    Entity *entity = run->entities + event->entity;
    const PartOfFrame *of = run->parts + event->part;
    if (entity->old != NULL && known_until(entity->old) >= run->known_from) {
        int64_t hold = known_until(entity->old);
        if (!is_later(event->row.values, entity->old->values)) return 1;
        if (!count(run, rules, of, entity->old, entity->old_customer, -1, overflow)) return 0;
        if (hold > event->row.values[TIME]) event->row.values[HOLD] = hold;
    }
    entity->old = &event->row;
    entity->old_customer = event->customer;
    entity->is_changed = 1;
    return count(run, rules, of, &event->row, event->customer, 1, overflow);
}

/* -- memberships */

static int is_something(const Part *part) { return part->shape == AS_READ ? part->encoded.length > 1 : part->count > 0; }

/* Parts of a customer that hold anything. */
static int64_t contribution(const Customer *c) {
    int64_t count = 0;
    for (const Part *part = c->parts; part < c->parts + c->part_count; part++) count += is_something(part);
    return count;
}

static int64_t get_groups(Text encoded, Text *out) {
    int64_t count = 0;
    Cursor c = {encoded.at, encoded.at + encoded.length};
    get_array(&c, &count);
    for (int64_t i = 0; i < count; i++) get_text(&c, out + i);
    return count;
}

/* The number of the set of those of some groups that are not among others; -1: there are none, -2: no memory. */
static int64_t set_without(Run *run, const Text *groups, int64_t count, const Text *others, int64_t other_count) {
    Text found[GROUPS_MAX + 1];
    int64_t found_count = 0, size = 8;
    for (int64_t i = 0; i < count; i++) {
        int is_among = 0;
        for (int64_t j = 0; j < other_count && !is_among; j++) is_among = is_same(groups[i], others[j]);
        if (is_among) continue;
        found[found_count++] = groups[i];
        size += groups[i].length + 2;
    }
    if (found_count == 0) return -1;
    Out o = {allocate(&run->arena, size)};
    const uint8_t *from = o.at;
    if (from == NULL) return -2;
    put_array(&o, found_count);
    for (int64_t i = 0; i < found_count; i++) put_text(&o, found[i]);
    int64_t number = number_of(&run->group_sets, (Text){from, o.at - from});
    return number < 0 ? -2 : number;
}

/* A customer's whole kept contribution comes to groups (sign 1), or leaves them (-1). */
static int move_contribution(Run *run, const Rules *rules, Customer *c, int64_t group_set, int sign, int *overflow) {
    for (int64_t i = 0; i < rules->figure_count; i++) {
        const FigureTable *table = rules->figures + i;
        for (int of_payments = 1; of_payments >= 0; of_payments--) {
            const Part *part = part_of(c, of_payments ? table->payments : table->sessions);
            for (int64_t at = 0; at < part->count; at++) {
                const int64_t *item = part->items + at * part->stride;
                int64_t key[] = {i, c->operator, group_set, item[part->keys - 1], item[0]};
                if (key[3] < table->first[c->operator]) continue;
                int64_t *cell = difference(run->differences + (of_payments ? PAID : CAME), key);
                if (cell == NULL) return 0;
                add_customer(of_payments ? &rules->payments : &rules->sessions, cell, item + part->keys, sign, overflow);
            }
        }
    }
    for (int64_t i = 0; i < rules->count_count; i++) {
        const Part *part = part_of(c, rules->counts[i].name);
        for (int64_t at = 0; at < part->count; at++) {
            const int64_t *item = part->items + at * part->stride;
            int64_t key[] = {i, c->operator, group_set, item[0]};
            if (item[0] < rules->counts[i].first[c->operator]) continue;
            int64_t *by = difference(run->differences + BY_SLOT, key);
            if (by == NULL) return 0;
            *by += sign * item[1];
        }
    }
    return 1;
}

static int move(Run *run, const Rules *rules, const Event *event, int *overflow) {
    Customer *c = run->customers + event->customer;
    const Row *row = &event->row;
    if (!is_later(row->values, c->version)) return 1;
    c->is_changed = 1;
    memcpy(c->version, row->values, sizeof c->version);
    Out o = {allocate(&run->arena, row->stamp.length + row->groups.length + 16)};
    const uint8_t *from = o.at;
    if (from == NULL) return 0;
    put_array(&o, STAMP_FIELDS);
    put_bytes(&o, row->stamp);
    c->stamp = (Text){from, o.at - from};
    from = o.at;
    put_array(&o, row->group_count + 1);
    put_text(&o, (Text){(const uint8_t *)"ALL", 3});
    put_bytes(&o, row->groups);
    Text before = c->groups, after = {from, o.at - from};
    if (is_same(before, after)) return 1;
    c->groups = after;
    c->group_set = number_of(&run->group_sets, after);
    if (c->group_set < 0) return 0;
    if (!contribution(c)) return 1;
    Text left[GROUPS_MAX + 1], come[GROUPS_MAX + 1];
    int64_t left_count = get_groups(before, left), come_count = get_groups(after, come);
    int64_t leaving = set_without(run, left, left_count, come, come_count), coming = set_without(run, come, come_count, left, left_count);
    if (leaving == -2 || coming == -2) return 0;
    if (leaving >= 0 && !move_contribution(run, rules, c, leaving, -1, overflow)) return 0;
    return coming < 0 || move_contribution(run, rules, c, coming, 1, overflow);
}

/* -- what changed, as rows */

enum { INTEGER_BYTES = 9, HEAD_BYTES = 8 };

static int put_row(Run *run, const Entity *e) {
    Buffer *b = &run->rows;
    const Row *row = e->old;
    if (!reserve(b, row->encoded.length + 1 + INTEGER_BYTES)) return 0;
    Out o = {b->data + b->used};
    const uint8_t *behind = row->hold.at + row->hold.length;
    byte(&o, ROW_MARK);
    put_bytes(&o, (Text){row->encoded.at, row->hold.at - row->encoded.at});
    put_integer(&o, row->values[HOLD]);
    put_bytes(&o, (Text){behind, row->encoded.at + row->encoded.length - behind});
    b->used = o.at - b->data;
    return push(&run->row_ends, b->used);
}

static int is_first_of_currency(const Part *part, int64_t at) {
    for (int64_t i = 0; i < at; i++)
        if (part->items[i * part->stride] == part->items[at * part->stride]) return 0;
    return 1;
}

static int64_t periods_of(const Part *part, int64_t currency) {
    int64_t found = 0;
    for (int64_t i = 0; i < part->count; i++) found += part->items[i * part->stride] == currency;
    return found;
}

static void put_item(Out *o, const Part *part, const int64_t *item) {
    int64_t values = part->stride - part->keys;
    put_integer(o, item[part->keys - 1]);
    if (part->shape != COUNTS_BY_KEY) put_array(o, values);
    for (int64_t i = 0; i < values; i++) put_integer(o, item[part->keys + i]);
}

static void put_part(const Run *run, Out *o, const Part *part) {
    put_text(o, part->name);
    if (part->shape == AS_READ) {
        put_bytes(o, part->encoded);
        return;
    }
    if (part->shape != BY_CURRENCY) {
        put_map(o, part->count);
        for (int64_t i = 0; i < part->count; i++) put_item(o, part, part->items + i * part->stride);
        return;
    }
    int64_t currencies = 0;
    for (int64_t i = 0; i < part->count; i++) currencies += is_first_of_currency(part, i);
    put_map(o, currencies);
    for (int64_t i = 0; i < part->count; i++) {
        if (!is_first_of_currency(part, i)) continue;
        int64_t currency = part->items[i * part->stride];
        put_text(o, *name_at(&run->currency_names, currency));
        put_map(o, periods_of(part, currency));
        for (int64_t j = i; j < part->count; j++)
            if (part->items[j * part->stride] == currency) put_item(o, part, part->items + j * part->stride);
    }
}

static int is_kept(const Customer *c) {
    int64_t ignored, version;
    Cursor stamp = {c->stamp.at, c->stamp.at + c->stamp.length};
    return (get_array(&stamp, &ignored) && get_integer(&stamp, &version) && version >= 0) || contribution(c);
}

/* A customer's row; empty where neither groups nor a contribution are known. */
static int put_customer(Run *run, const Customer *c) {
    Buffer *b = &run->rows;
    if (!is_kept(c)) return push(&run->row_ends, b->used);
    int64_t most = HEAD_BYTES + c->groups.length + c->stamp.length;
    for (const Part *part = c->parts; part < c->parts + c->part_count; part++) {
        most += 2 * HEAD_BYTES + part->name.length + part->encoded.length;
        most += part->count * (part->stride * INTEGER_BYTES + 3 * HEAD_BYTES);
        for (int64_t i = 0; part->shape == BY_CURRENCY && i < part->count; i++) most += name_at(&run->currency_names, part->items[i * part->stride])->length;
    }
    if (!reserve(b, most)) return 0;
    Out o = {b->data + b->used};
    byte(&o, ROW_MARK);
    put_array(&o, 3);
    put_bytes(&o, c->groups);
    put_bytes(&o, c->stamp);
    put_map(&o, contribution(c));
    for (const Part *part = c->parts; part < c->parts + c->part_count; part++)
        if (is_something(part)) put_part(run, &o, part);
    b->used = o.at - b->data;
    return push(&run->row_ends, b->used);
}

static int put_names(Buffer *texts, Buffer *ends, const Names *names) {
    for (int64_t i = 0; i < names->table.used; i++) {
        Text name = *name_at(names, i);
        if (!reserve(texts, name.length)) return 0;
        memcpy(texts->data + texts->used, name.at, (size_t)name.length);
        texts->used += name.length;
        if (!push(ends, texts->used)) return 0;
    }
    return 1;
}

static int leave_both(Run *run, Entity *entity, int32_t customer_at) {
    if (customer_at < 0) return 0;
    Customer *customer = run->customers + customer_at;
    int more = entity->is_left != customer->is_unusual;
    entity->is_left = customer->is_unusual = entity->is_left || customer->is_unusual;
    return more;
}

/* What is left goes its way behind all that is not: a membership must come to the same events of its customer. Is more left than before? */
static int leave(Run *run) {
    int more = 0;
    for (int64_t i = 0; i < run->entity_count; i++) more |= leave_both(run, run->entities + i, run->entities[i].old_customer);
    for (int64_t i = 0; i < run->event_count; i++)
        if (run->events[i].entity >= 0) more |= leave_both(run, run->entities + run->events[i].entity, run->events[i].customer);
    return more;
}

static Text next_name(const uint8_t **at) {
    Text name = {*at + 1, **at};
    *at += 1 + name.length;
    return name;
}

static void tell(int64_t *results, const Buffer *b) {
    results[0] = (int64_t)(intptr_t)b->data;
    results[1] = b->used;
}

/*
 * `values`: those of the customers, as before; `layouts`: of payments, then of sessions; `names`: of the parts of a customer of `figure_count` tables of
 * figures (payments, sessions), then of `count_count` tables of counts, each behind its length; `firsts`: by table in this order, then operator: the first period,
 * or key, that is kept. All must stay. `left` becomes 1 for each event that is not taken, `changed` for each entity, then each customer, that has a new row.
 * `results`: addresses and sizes of rows and their ends. TOO_LARGE: a sum goes beyond 64 bits, nothing is taken.
 */
int32_t stream_app_upserts_apply(
    Run *run, const uint8_t *values, const int64_t *lengths, const int64_t *payments, const int64_t *sessions, const uint8_t *names, int64_t figure_count,
    int64_t count_count, const int64_t *firsts, uint8_t *left, uint8_t *changed, int64_t *results) {
    Rules *rules = &run->rules;
    *rules = (Rules){.payments = layout_of(payments), .sessions = layout_of(sessions), .figure_count = figure_count, .count_count = count_count};
    for (int64_t i = 0; i < figure_count; i++) {
        rules->figures[i].payments = next_name(&names);
        rules->figures[i].sessions = next_name(&names);
        rules->figures[i].first = firsts + i * run->operator_count;
    }
    for (int64_t i = 0; i < count_count; i++) rules->counts[i] = (CountTable){next_name(&names), firsts + (figure_count + i) * run->operator_count};
    const int64_t keys[] = {PAID_KEYS, KEYS, KEYS}, values_each[] = {rules->payments.n.size, rules->sessions.n.size, 1};
    for (int kind = 0; kind < KINDS; kind++) {
        run->differences[kind].key_width = keys[kind];
        run->differences[kind].width = keys[kind] + values_each[kind];
    }

    for (int64_t i = 0; i < run->customer_count; values += lengths[i], i++) {
        int found = get_customer(run, rules, run->customers + i, (Text){values, lengths[i]});
        if (found == NO_MEMORY) return NO_MEMORY;
        run->customers[i].is_unusual |= !found;
    }
    while (leave(run)) continue;
    int overflow = 0;
    for (int64_t i = 0; i < run->event_count; i++) {
        Event *e = run->events + i;
        left[i] = (uint8_t)(e->entity < 0 ? run->customers[e->customer].is_unusual : run->entities[e->entity].is_left);
        if (!left[i] && !(e->entity < 0 ? move(run, rules, e, &overflow) : upsert(run, rules, e, &overflow))) return NO_MEMORY;
    }
    if (overflow) return TOO_LARGE;
    for (int64_t i = 0; i < run->entity_count; i++) {
        changed[i] = (uint8_t)run->entities[i].is_changed;
        if (changed[i] && !put_row(run, run->entities + i)) return NO_MEMORY;
    }
    changed += run->entity_count;
    for (int64_t i = 0; i < run->customer_count; i++) {
        changed[i] = (uint8_t)run->customers[i].is_changed;
        if (changed[i] && !put_customer(run, run->customers + i)) return NO_MEMORY;
    }
    tell(results, &run->rows);
    tell(results + 2, &run->row_ends);
    return DONE;
}

/* -- fourth call: names of the cells that differences concern */

typedef struct {
    int64_t kind, index, next; /* next: of the same cell, from 1 on, 0: none */
} Link;

static const int64_t *difference_at(const Run *run, int64_t kind, int64_t index) {
    return (const int64_t *)run->differences[kind].rows.data + index * run->differences[kind].width;
}

/* The groups of each set, as numbers: 0 without memory, TOO_LARGE where a set is none. */
static int get_sets(Run *run) {
    for (int64_t set = 0; set < run->group_sets.table.used; set++) {
        Text encoded = *name_at(&run->group_sets, set), group;
        Cursor c = {encoded.at, encoded.at + encoded.length};
        int64_t count;
        if (!get_array(&c, &count)) return TOO_LARGE;
        if (!push(&run->set_places, run->set_groups.used / 8) || !push(&run->set_places, count)) return 0;
        for (; count > 0; count--) {
            if (!get_text(&c, &group) || group.length == 0 || group.length > TEXT_MAX) return TOO_LARGE;
            int64_t number = number_of(&run->group_names, group);
            if (number < 0 || !push(&run->set_groups, number)) return 0;
        }
        if (c.at != c.end) return TOO_LARGE;
    }
    return 1;
}

/* Note that a difference concerns the cells of its groups; 0 without memory. */
static int concern(Run *run, Differences *cells, int64_t kind, int64_t index, int64_t period) {
    const int64_t *key = difference_at(run, kind, index), *place = numbers(&run->set_places) + 2 * key[2];
    for (int64_t i = 0; i < place[1]; i++) {
        int64_t name[CELL_KEYS] = {key[1], numbers(&run->set_groups)[place[0] + i], period};
        int64_t *cell = difference(cells, name), link = run->links.used / (int64_t)sizeof(Link) + 1;
        if (cell == NULL || !push(&run->links, kind) || !push(&run->links, index) || !push(&run->links, 0)) return 0;
        if (cell[0])
            ((Link *)run->links.data)[cell[1] - 1].next = link;
        else
            cell[0] = link;
        cell[1] = link;
    }
    return 1;
}

static int append_cell(Run *run, int prefix, const int64_t *cell) {
    Buffer *b = &run->names;
    Text operator_id = run->operator_ids[cell[0]], group = *name_at(&run->group_names, cell[1]);
    if (!reserve(b, operator_id.length + group.length + 24)) return 0;
    Out o = {b->data + b->used};
    byte(&o, prefix);
    put_bytes(&o, operator_id);
    byte(&o, 0);
    put_bytes(&o, group);
    byte(&o, 0);
    put_number(&o, cell[2]);
    b->used = o.at - b->data;
    return push(&run->ends, b->used);
}

/*
 * `prefixes`: the first byte of the cells' names, by table; `widths`: the slots of a period, by table of counts. `results`: address and size of the names, address of
 * their ends; of three numbers for each: operator, group, period; address and size of the groups' names, address of their ends, their number; then the number of
 * cells by table: none in all where a set of groups is unusual.
 */
int32_t stream_app_upserts_cells(Run *run, const uint8_t *prefixes, const int64_t *widths, int64_t *results) {
    const Rules *rules = &run->rules;
    int64_t tables = rules->figure_count + rules->count_count;
    run->names.used = run->ends.used = run->missing.used = 0;
    for (int64_t table = 0; table < tables; table++) {
        run->cells[table].key_width = CELL_KEYS;
        run->cells[table].width = CELL_WIDTH;
    }
    int found = get_sets(run);
    if (!found) return NO_MEMORY;
    for (int kind = 0; kind < KINDS && found == 1; kind++)
        for (int64_t i = 0; i < run->differences[kind].table.used; i++) {
            const int64_t *key = difference_at(run, kind, i);
            int64_t table = kind == BY_SLOT ? rules->figure_count + key[0] : key[0], period = key[3];
            if (kind == BY_SLOT) period = (period - (period % widths[key[0]] + widths[key[0]]) % widths[key[0]]) / widths[key[0]];
            if (!concern(run, run->cells + table, kind, i, period)) return NO_MEMORY;
        }
    for (int64_t table = 0; table < tables; table++) {
        const Differences *cells = run->cells + table;
        results[8 + table] = cells->table.used;
        for (int64_t i = 0; i < cells->table.used; i++) {
            const int64_t *cell = (const int64_t *)cells->rows.data + i * CELL_WIDTH;
            if (!append_cell(run, prefixes[table], cell)) return NO_MEMORY;
            for (int key = 0; key < CELL_KEYS; key++)
                if (!push(&run->missing, cell[key])) return NO_MEMORY;
        }
    }
    if (!put_names(&run->groups, &run->group_ends, &run->group_names)) return NO_MEMORY;
    tell(results, &run->names);
    results[2] = (int64_t)(intptr_t)run->ends.data;
    results[3] = (int64_t)(intptr_t)run->missing.data;
    tell(results + 4, &run->groups);
    results[6] = (int64_t)(intptr_t)run->group_ends.data;
    results[7] = run->group_names.table.used;
    return DONE;
}

/* -- fifth call: rows of cells */

enum { TAKEN = 1, COUNTS = 2, LACKS = 4, CURRENCIES_MAX = 64 };

/* Integers of a list; of fewer figures, from before one was added: the others are as they are. */
static int get_sums(Cursor *c, int64_t *out, int64_t most, int64_t *count) {
    if (!get_array(c, count) || *count > most) return 0;
    for (int64_t i = 0; i < *count; i++)
        if (!get_integer(c, out + i)) return 0;
    return 1;
}

static int get_head(Cursor *c, Text value, int64_t fields) {
    int64_t count, version, as_of;
    *c = (Cursor){value.at + 1, value.at + value.length};
    return value.at[0] == ROW_MARK && get_array(c, &count) && count == fields && get_integer(c, &version) && get_integer(c, &as_of);
}

static void put_head(Out *o, int64_t fields) {
    byte(o, ROW_MARK);
    put_array(o, fields);
    put_integer(o, 0); /* version and as-of are put in its place when the row is frozen */
    put_integer(o, 0);
}

static void put_sums(Out *o, const int64_t *sums, int64_t count) {
    put_array(o, count);
    for (int64_t i = 0; i < count; i++) put_integer(o, sums[i]);
}

/* What a cell of figures holds: sums by currency, and those of sessions. */
static int get_figures(Run *run, Text value, Part *payments, int64_t *sessions, int64_t session_count) {
    Cursor c;
    Text name;
    int64_t currencies, count;
    if (!get_head(&c, value, KEYS) || !get_map(&c, &currencies) || currencies > CURRENCIES_MAX) return 0;
    for (; currencies > 0; currencies--) {
        int64_t *item = new_item(run, payments);
        if (item == NULL) return NO_MEMORY;
        if (!get_text(&c, &name) || name.length == 0 || name.length > TEXT_MAX) return 0;
        item[0] = number_of(&run->currency_names, name);
        if (item[0] < 0) return NO_MEMORY;
        if (!get_sums(&c, item + 1, payments->stride - 1, &count)) return 0;
    }
    return get_sums(&c, sessions, session_count, &count) && c.at == c.end;
}

static int put_figures(Run *run, const Part *payments, const int64_t *sessions, int64_t session_count) {
    Buffer *b = &run->rows;
    int64_t most = 4 * HEAD_BYTES + session_count * INTEGER_BYTES;
    for (int64_t i = 0; i < payments->count; i++)
        most += 2 * HEAD_BYTES + payments->stride * INTEGER_BYTES + name_at(&run->currency_names, payments->items[i * payments->stride])->length;
    if (!reserve(b, most)) return 0;
    Out o = {b->data + b->used};
    put_head(&o, KEYS);
    put_map(&o, payments->count);
    for (int64_t i = 0; i < payments->count; i++) {
        const int64_t *item = payments->items + i * payments->stride;
        put_text(&o, *name_at(&run->currency_names, item[0]));
        put_sums(&o, item + 1, payments->stride - 1);
    }
    put_sums(&o, sessions, session_count);
    b->used = o.at - b->data;
    return 1;
}

static int fold_figures(Run *run, const int64_t *cell, Text value, Text own) {
    const Counts *of_payments = &run->rules.payments.n, *of_sessions = &run->rules.sessions.n;
    Part payments = {.keys = 1, .stride = 1 + of_payments->size};
    int64_t *sessions = allocate(&run->arena, of_sessions->size * 8);
    int overflow = 0, flags = TAKEN | LACKS;
    if (sessions == NULL) return NO_MEMORY;
    memset(sessions, 0, (size_t)of_sessions->size * 8);
    if (value.length > 0) {
        int found = get_figures(run, value, &payments, sessions, of_sessions->size);
        if (found != 1) return found;
    }
    for (int64_t next = cell[CELL_KEYS]; next;) {
        const Link *link = (const Link *)run->links.data + next - 1;
        const int64_t *by = difference_at(run, link->kind, link->index);
        next = link->next;
        if (link->kind == CAME) {
            for (int64_t i = 0; i < of_sessions->size; i++) add_to(sessions + i, by[KEYS + i], &overflow);
            continue;
        }
        int64_t *item = find_item(&payments, by + KEYS);
        if (item == NULL) {
            item = new_item(run, &payments);
            if (item == NULL) return NO_MEMORY;
            item[0] = by[KEYS];
        }
        for (int64_t i = 0; i < of_payments->size; i++) add_to(item + 1 + i, by[PAID_KEYS + i], &overflow);
    }
    if (overflow) return 0;
    if (sessions[of_sessions->count_at] > 0) flags |= COUNTS;
    for (int64_t i = 0; i < payments.count; i++) {
        const int64_t *item = payments.items + i * payments.stride;
        if (item[1 + of_payments->count_at]) flags |= COUNTS;
        if (is_same(*name_at(&run->currency_names, item[0]), own)) flags &= ~LACKS;
    }
    return put_figures(run, &payments, sessions, of_sessions->size) ? flags : NO_MEMORY;
}

static int fold_counts(Run *run, const int64_t *cell, Text value, int64_t width) {
    Cursor c;
    int64_t *slots = allocate(&run->arena, width * 8), count;
    int overflow = 0;
    if (slots == NULL) return NO_MEMORY;
    memset(slots, 0, (size_t)width * 8);
    if (value.length > 0 && !(get_head(&c, value, CELL_KEYS) && get_sums(&c, slots, width, &count) && count == width && c.at == c.end)) return 0;
    for (int64_t next = cell[CELL_KEYS]; next;) {
        const Link *link = (const Link *)run->links.data + next - 1;
        const int64_t *by = difference_at(run, BY_SLOT, link->index);
        add_to(slots + (by[3] - cell[2] * width), by[KEYS], &overflow);
        next = link->next;
    }
    if (overflow) return 0;
    if (!reserve(&run->rows, 2 * HEAD_BYTES + width * INTEGER_BYTES)) return NO_MEMORY;
    Out o = {run->rows.data + run->rows.used};
    put_head(&o, CELL_KEYS);
    put_sums(&o, slots, width);
    run->rows.used = o.at - run->rows.data;
    return TAKEN;
}

/* Differences of a cell that is left, as if of a set of its group alone; 0 without memory. */
static int leave_cell(Run *run, const int64_t *cell) {
    Text group = *name_at(&run->group_names, cell[1]);
    Out o = {allocate(&run->arena, group.length + 3)};
    const uint8_t *from = o.at;
    if (from == NULL) return 0;
    put_array(&o, 1);
    put_text(&o, group);
    int64_t set = number_of(&run->group_sets, (Text){from, o.at - from});
    if (set < 0) return 0;
    for (int64_t next = cell[CELL_KEYS]; next;) {
        const Link *link = (const Link *)run->links.data + next - 1;
        const int64_t *by = difference_at(run, link->kind, link->index);
        for (int64_t i = 0; i < run->differences[link->kind].width; i++)
            if (!push(run->left + link->kind, i == 2 ? set : by[i])) return 0;
        next = link->next;
    }
    return 1;
}

/* Tell of a cell's payments; 0 without memory. */
static int count_payments(Run *run, const int64_t *cell) {
    for (int64_t next = cell[CELL_KEYS]; next;) {
        const Link *link = (const Link *)run->links.data + next - 1;
        const int64_t *by = difference_at(run, link->kind, link->index);
        next = link->next;
        if (link->kind != PAID) continue;
        const int64_t row[] = {cell[0], by[KEYS], cell[2], by[PAID_KEYS + run->rules.payments.n.count_at]};
        for (int i = 0; i < 4; i++)
            if (!push(&run->paid, row[i])) return 0;
    }
    return 1;
}

/*
 * `values`: those of the cells, as before; `widths` as before; `currencies`: the own one of each operator, one after the other, of these lengths; `paid_table`: the
 * table of figures in which payments are counted by currency. `flags`: of each cell: TAKEN, else its differences are among those that are left; COUNTS: something
 * counts in it; LACKS: it has no sums in the operator's own currency. `results`: addresses and sizes of: rows, their ends, sets of groups, their ends, currencies,
 * their ends, differences that are left of payments, of sessions, of counts, then (operator, currency, period, number of payments) for each difference of a
 * cell of ALL that was taken.
 */
int32_t stream_app_upserts_fold(
    Run *run, const uint8_t *values, const int64_t *lengths, const int64_t *widths, const uint8_t *currencies, const int64_t *currency_lengths, int64_t paid_table,
    uint8_t *flags, int64_t *results) {
    const Rules *rules = &run->rules;
    int64_t count = 0;
    Text *own = allocate(&run->arena, run->operator_count * (int64_t)sizeof(Text));
    if (own == NULL) return NO_MEMORY;
    for (int64_t i = 0; i < run->operator_count; currencies += currency_lengths[i], i++) own[i] = (Text){currencies, currency_lengths[i]};
    run->rows.used = run->row_ends.used = run->groups.used = run->group_ends.used = run->names.used = run->ends.used = 0;
    for (int64_t table = 0; table < rules->figure_count + rules->count_count; table++)
        for (int64_t i = 0; i < run->cells[table].table.used; i++, count++) {
            const int64_t *cell = (const int64_t *)run->cells[table].rows.data + i * CELL_WIDTH;
            Text value = {values, lengths[count]};
            values += lengths[count];
            int found = table < rules->figure_count ? fold_figures(run, cell, value, own[cell[0]]) : fold_counts(run, cell, value, widths[table - rules->figure_count]);
            if (found == NO_MEMORY || !push(&run->row_ends, run->rows.used)) return NO_MEMORY;
            flags[count] = (uint8_t)found;
            if (!found && !leave_cell(run, cell)) return NO_MEMORY;
            if (found && table == paid_table && is_same(*name_at(&run->group_names, cell[1]), (Text){(const uint8_t *)"ALL", 3}) && !count_payments(run, cell)) return NO_MEMORY;
        }
    if (!put_names(&run->groups, &run->group_ends, &run->group_sets) || !put_names(&run->names, &run->ends, &run->currency_names)) return NO_MEMORY;
    const Buffer *told[] = {&run->rows, &run->row_ends, &run->groups, &run->group_ends, &run->names, &run->ends};
    for (int i = 0; i < 6; i++) tell(results + 2 * i, told[i]);
    for (int kind = 0; kind < KINDS; kind++) tell(results + 12 + 2 * kind, count ? run->left + kind : &run->differences[kind].rows);
    tell(results + 18, &run->paid);
    return DONE;
}
