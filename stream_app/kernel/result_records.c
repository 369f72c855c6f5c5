/* Records of the results topics, from rows of cells: what sinks/topics.py and domain/report.py make together, for the rows that nearly all are. One with anything
 * unusual is left to those: a row of another format, an integer beyond 64 bits, a currency without digits, a negative number of customers.
 *
 * No Python inside: bytes in, bytes out.
 */

#include "buffer.h"
#include "msgpack.h"

enum { ROW_MARK = 2 }; /* formats/rows.py */
enum { COUNT_FIELDS = 3, FIGURE_FIELDS };
enum { NO_MEMORY = -1 };
enum { NUMBER_BYTES = 48, HEAD_BYTES = 512, SUMS_MAX = 64, SLOTS_MAX = 4096 };
enum { CURRENCYS_DIGITS = -2, BARE = -1 }; /* of a figure: those of the currency; it stands without quotes */

static const int64_t LAST_MS = INT64_C(253402300799999); /* 9999-12-31T23:59:59.999Z */

__extension__ typedef __int128 Wide;

/* A figure as people see it, see domain/report.py; `part_at`, `by_at`: -1 for none. */
typedef struct {
    int64_t digits, is_payments, at, part_at, by_at, scale;
} Figure;

/* What all records of a table share. `names`: of the figures, one after the other, of `name_lengths`, each as it stands before the value. */
typedef struct {
    Text head; /* what stands before the text of the period */
    const Figure *figures;
    const uint8_t *names;
    const int64_t *name_lengths;
    int64_t figure_count, payments_size, sessions_size, slots;
    const uint8_t *currencies; /* three letters each */
    const int64_t *currency_digits;
    int64_t currency_count, topic_partitions;
    Text partition; /* the events partition, as a number is written */
} Form;

/* Where a cell belongs, as keys and as JSON has it. */
typedef struct {
    Text operator_key, operator_id, timezone, group_key, group_id, period;
} Place;

typedef struct {
    Buffer texts, ends, records; /* of each record key, value and id; the index of its row, its partition of the topic, its as-of */
} Made;

static void put_word(Out *o, const char *word) { put_bytes(o, (Text){(const uint8_t *)word, (int64_t)strlen(word)}); }

/* Units of 10^-digits as a decimal. */
static void put_decimal(Out *o, int64_t number, int64_t digits) {
    uint64_t unit = 1, size = number < 0 ? -(uint64_t)number : (uint64_t)number;
    for (int64_t i = 0; i < digits; i++) unit *= 10;
    if (number < 0) byte(o, '-');
    put_digits(o, size / unit, 1);
    if (digits == 0) return;
    byte(o, '.');
    put_digits(o, size % unit, (int)digits);
}

/* Epoch milliseconds as 2026-11-24T08:00:00.000Z: years are counted from March, so that a leap day is the last of one. */
static void put_time(Out *o, int64_t ms) {
    int64_t seconds = ms / 1000, days = seconds / 86400 + 719468, rest = seconds % 86400;
    int64_t era = days / 146097, of_era = days % 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;
    int64_t day = of_year - (153 * month + 2) / 5 + 1;
    month += month < 10 ? 3 : -9;
    put_digits(o, (uint64_t)(year + era * 400 + (month <= 2)), 4);
    byte(o, '-');
    put_digits(o, (uint64_t)month, 2);
    byte(o, '-');
    put_digits(o, (uint64_t)day, 2);
    byte(o, 'T');
    put_digits(o, (uint64_t)(rest / 3600), 2);
    byte(o, ':');
    put_digits(o, (uint64_t)(rest / 60 % 60), 2);
    byte(o, ':');
    put_digits(o, (uint64_t)(rest % 60), 2);
    byte(o, '.');
    put_digits(o, (uint64_t)(ms % 1000), 3);
    byte(o, 'Z');
}

/* Kafka's default partitioner, formats/murmur2.py. */
static int64_t partition_of(Text key, int64_t partitions) {
    const uint32_t m = 0x5bd1e995;
    uint32_t h = 0x9747b28c ^ (uint32_t)key.length, k;
    const uint8_t *at = key.at, *end = key.at + key.length;
    for (; end - at >= 4; at += 4) {
        k = ((uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24) * m;
        h = h * m ^ (k ^ k >> 24) * m;
    }
    if (end > at) {
        for (int i = 0; i < end - at; i++) h ^= (uint32_t)at[i] << 8 * i;
        h *= m;
    }
    h = (h ^ h >> 13) * m;
    h ^= h >> 15;
    return (h & 0x7fffffff) % partitions;
}

/* -- reading a row */

typedef struct {
    int64_t version, as_of;
} Stamp;

static int get_stamp(Cursor *c, Text row, int64_t fields, Stamp *stamp) {
    int64_t count;
    if (row.length < 2 || row.at[0] != ROW_MARK) return 0;
    *c = (Cursor){row.at + 1, row.at + row.length};
    return get_array(c, &count) && count == fields && get_integer(c, &stamp->version) && get_integer(c, &stamp->as_of) && stamp->version >= 0 && stamp->as_of >= 0 &&
           stamp->as_of <= LAST_MS;
}

/* Of fewer figures, from before one was added: the others are zero. */
static int get_sums(Cursor *c, int64_t *out, int64_t most) {
    int64_t count;
    if (!get_array(c, &count) || count > most) return 0;
    memset(out, 0, (size_t)most * 8);
    for (int64_t i = 0; i < count; i++)
        if (!get_integer(c, out + i)) return 0;
    return 1;
}

/* A figure in units of its last digit: 0 where it is unusual. An average is rounded half-up, and zero where there is nobody to divide by. */
static int number_of(const Figure *figure, const int64_t *payments, const int64_t *sessions, int64_t *out) {
    const int64_t *sums = figure->is_payments ? payments : sessions;
    *out = sums[figure->at];
    if (figure->by_at < 0) return 1;
    int64_t by = sums[figure->by_at];
    if (by < 0) return 0;
    if (by == 0) {
        *out = 0;
        return 1;
    }
    Wide number = *out, part = figure->part_at < 0 ? 0 : sums[figure->part_at];
    number = 2 * (number - part) * figure->scale + by;
    Wide found = number / (2 * (Wide)by);
    if (number % (2 * (Wide)by) < 0) found--;
    *out = (int64_t)found;
    return found >= -INT64_MAX && found <= INT64_MAX;
}

static int64_t digits_of(const Form *form, Text currency) {
    for (int64_t i = 0; i < form->currency_count; i++)
        if (currency.length == 3 && memcmp(form->currencies + 3 * i, currency.at, 3) == 0) return form->currency_digits[i];
    return -1;
}

/* -- making a record */

/* Close the last text. */
static int end_text(Made *made, const Out *o) {
    made->texts.used = o->at - made->texts.data;
    return push(&made->ends, made->texts.used);
}

static int put_key(Made *made, const Place *place, Text currency) {
    if (!reserve(&made->texts, place->operator_key.length + place->group_key.length + place->period.length + currency.length + 3)) return 0;
    Out o = {made->texts.data + made->texts.used};
    put_bytes(&o, place->operator_key);
    byte(&o, '|');
    put_bytes(&o, place->group_key);
    byte(&o, '|');
    put_bytes(&o, place->period);
    if (currency.length > 0) {
        byte(&o, '|');
        put_bytes(&o, currency);
    }
    return end_text(made, &o);
}

/* The end of a value that all have, and the record's id, of its key from `key_at` on. */
static int put_end(Made *made, const Form *form, Out *o, int64_t key_at, int64_t key_length, int64_t row, const Stamp *stamp) {
    put_word(o, "\"partition\":");
    put_bytes(o, form->partition);
    put_word(o, ",\"asOf\":\"");
    put_time(o, stamp->as_of);
    put_word(o, "\",\"version\":");
    put_number(o, stamp->version);
    byte(o, '}');
    if (!end_text(made, o) || !reserve(&made->texts, key_length + NUMBER_BYTES)) return 0;
    Text key = {made->texts.data + key_at, key_length};
    *o = (Out){made->texts.data + made->texts.used};
    put_bytes(o, key);
    byte(o, '@');
    put_number(o, stamp->version);
    return end_text(made, o) && push(&made->records, row) && push(&made->records, partition_of(key, form->topic_partitions)) && push(&made->records, stamp->as_of);
}

static void put_place(Out *o, const Place *place) {
    put_word(o, "\"operatorId\":");
    put_bytes(o, place->operator_id);
    put_word(o, ",\"groupId\":");
    put_bytes(o, place->group_id);
}

static int64_t length_of(const Place *place) { return place->operator_id.length + place->group_id.length + place->timezone.length + place->period.length; }

/* 1, 0 where something is unusual, or NO_MEMORY. */
static int make_of_currency(
    Made *made, const Form *form, const Place *place, int64_t row, const Stamp *stamp, Text currency, const int64_t *payments, const int64_t *sessions) {
    int64_t key_at = made->texts.used, most = HEAD_BYTES + form->head.length + length_of(place), digits = digits_of(form, currency);
    if (digits < 0) return 0;
    for (int64_t i = 0; i < form->figure_count; i++) most += form->name_lengths[i] + NUMBER_BYTES;
    if (!put_key(made, place, currency) || !reserve(&made->texts, most)) return NO_MEMORY;
    int64_t key_length = made->texts.used - key_at;
    Out o = {made->texts.data + made->texts.used};
    put_bytes(&o, form->head);
    put_bytes(&o, place->period);
    put_word(&o, "\",");
    const uint8_t *names = form->names;
    for (int64_t i = 0; i < form->figure_count; names += form->name_lengths[i], i++) {
        const Figure *figure = form->figures + i;
        int64_t number;
        if (!number_of(figure, payments, sessions, &number)) return 0;
        put_bytes(&o, (Text){names, form->name_lengths[i]});
        if (figure->digits == BARE) {
            put_number(&o, number);
        } else {
            byte(&o, '"');
            put_decimal(&o, number, figure->digits == CURRENCYS_DIGITS ? digits : figure->digits);
            byte(&o, '"');
        }
        byte(&o, ',');
    }
    put_place(&o, place);
    put_word(&o, ",\"currency\":\"");
    put_bytes(&o, currency);
    put_word(&o, "\",\"timezone\":");
    put_bytes(&o, place->timezone);
    byte(&o, ',');
    return put_end(made, form, &o, key_at, key_length, row, stamp) ? 1 : NO_MEMORY;
}

static int make_of_figures(Made *made, const Form *form, const Place *place, int64_t row, Text value) {
    int64_t payments[SUMS_MAX], sessions[SUMS_MAX], currencies;
    Stamp stamp;
    Cursor c;
    Text currency;
    if (!get_stamp(&c, value, FIGURE_FIELDS, &stamp) || !get_map(&c, &currencies)) return 0;
    Cursor sums = c;
    for (int64_t i = 0; i < currencies; i++)
        if (!get_text(&c, &currency) || !get_sums(&c, payments, form->payments_size)) return 0;
    if (!get_sums(&c, sessions, form->sessions_size) || c.at != c.end) return 0;
    for (int64_t i = 0; i < currencies; i++) {
        if (!get_text(&sums, &currency) || !get_sums(&sums, payments, form->payments_size)) return 0;
        int found = make_of_currency(made, form, place, row, &stamp, currency, payments, sessions);
        if (found != 1) return found;
    }
    return 1;
}

static int make_of_counts(Made *made, const Form *form, const Place *place, int64_t row, Text value) {
    int64_t slots[SLOTS_MAX], total = 0, count, key_at = made->texts.used;
    Stamp stamp;
    Cursor c;
    if (!get_stamp(&c, value, COUNT_FIELDS, &stamp)) return 0;
    Cursor looked_at = c;
    if (!get_array(&looked_at, &count) || count != form->slots || !get_sums(&c, slots, form->slots) || c.at != c.end) return 0;
    for (int64_t i = 0; i < count; i++)
        if (__builtin_add_overflow(total, slots[i], &total)) return 0;
    if (!put_key(made, place, (Text){NULL, 0}) || !reserve(&made->texts, HEAD_BYTES + form->head.length + length_of(place) + count * NUMBER_BYTES)) return NO_MEMORY;
    int64_t key_length = made->texts.used - key_at;
    Out o = {made->texts.data + made->texts.used};
    byte(&o, '{');
    put_place(&o, place);
    byte(&o, ',');
    put_bytes(&o, form->head);
    put_bytes(&o, place->period);
    put_word(&o, "\",\"timezone\":");
    put_bytes(&o, place->timezone);
    put_word(&o, ",\"slots\":[");
    for (int64_t i = 0; i < count; i++) {
        if (i > 0) byte(&o, ',');
        put_number(&o, slots[i]);
    }
    put_word(&o, "],\"total\":");
    put_number(&o, total);
    byte(&o, ',');
    return put_end(made, form, &o, key_at, key_length, row, &stamp) ? 1 : NO_MEMORY;
}

static Text text_at(const uint8_t *texts, const int64_t *ends, int64_t index) {
    int64_t start = index > 0 ? ends[index - 1] : 0;
    return (Text){texts + start, ends[index] - start};
}

/*
 * `rows`: `count` of them one after the other, of these `lengths`; `places`: three numbers for each: where in `texts`, which have these `ends`, are the operator's
 * key, id and timezone, the group's key and id, the period. `head`: what stands before the text of the period. `figures`: six numbers for each of `figure_count`, see
 * Figure; none for a table of counts. `numbers`: sizes of the lists of payments and of sessions, slots, currencies, partitions of the topic.
 * `left` becomes 1 for each row that is not taken. `results`: addresses and sizes of: texts (key, value and id of each record), their ends, and of three numbers
 * for each record: its row, its partition, its as-of; `stream_app_result_records_end` frees them. Returns 0, or NO_MEMORY, where nothing is to be freed.
 */
int32_t stream_app_result_records(
    const uint8_t *rows, const int64_t *lengths, int64_t count, const int64_t *places, const uint8_t *texts, const int64_t *ends, const uint8_t *head,
    const int64_t *figures, int64_t figure_count, const uint8_t *names, const int64_t *name_lengths, const uint8_t *currencies, const int64_t *currency_digits,
    const int64_t *numbers_, const uint8_t *partition, uint8_t *left, int64_t *results) {
    const Form form = {
        .head = {head, (int64_t)strlen((const char *)head)}, .figures = (const Figure *)figures, .names = names, .name_lengths = name_lengths,
        .figure_count = figure_count, .payments_size = numbers_[0], .sessions_size = numbers_[1], .slots = numbers_[2], .currencies = currencies,
        .currency_digits = currency_digits, .currency_count = numbers_[3], .topic_partitions = numbers_[4],
        .partition = {partition, (int64_t)strlen((const char *)partition)},
    };
    int fits = form.payments_size <= SUMS_MAX && form.sessions_size <= SUMS_MAX && form.slots <= SLOTS_MAX, found = 1;
    Made made = {{0}, {0}, {0}};
    for (int64_t i = 0; i < count && found != NO_MEMORY; rows += lengths[i], i++) {
        const int64_t *at = places + 3 * i;
        const Place place = {
            text_at(texts, ends, at[0]), text_at(texts, ends, at[0] + 1), text_at(texts, ends, at[0] + 2),
            text_at(texts, ends, at[1]), text_at(texts, ends, at[1] + 1), text_at(texts, ends, at[2]),
        };
        const int64_t used[] = {made.texts.used, made.ends.used, made.records.used};
        found = !fits ? 0 : (figure_count ? make_of_figures : make_of_counts)(&made, &form, &place, i, (Text){rows, lengths[i]});
        left[i] = found != 1;
        if (found == 1) continue;
        made.texts.used = used[0];
        made.ends.used = used[1];
        made.records.used = used[2];
    }
    Buffer *told[] = {&made.texts, &made.ends, &made.records};
    for (int i = 0; i < 3; i++) {
        if (found == NO_MEMORY) free(told[i]->data);
        results[2 * i] = (int64_t)(intptr_t)told[i]->data;
        results[2 * i + 1] = told[i]->used;
    }
    return found == NO_MEMORY ? NO_MEMORY : 0;
}

void stream_app_result_records_end(const int64_t *results) {
    for (int i = 0; i < 3; i++) free((void *)(intptr_t)results[2 * i]);
}
