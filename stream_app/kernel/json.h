/* JSON as source records have it, read with bounds; times and energies in it. What is unusual is not read: an escape or a byte that is not ASCII in a string that
 * somebody asks for, a number that is not a plain one in range, a time in another form than the common ones. */

#ifndef STREAM_APP_JSON_H
#define STREAM_APP_JSON_H

#include "msgpack.h"

#define ID_LENGTH 200
#define MOST_DIGITS 17
#define MINUTE_MS 60000
#define DAY_MS INT64_C(86400000)
#define LAST_MS INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */
#define DEEPEST 60 /* of objects and lists in each other, which nobody asks for */

static inline void skip_space(Cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\r' || *c->at == '\t')) c->at++;
}

static inline int take(Cursor *c, uint8_t wanted) {
    skip_space(c);
    if (c->at == c->end || *c->at != wanted) return 0;
    c->at++;
    return 1;
}

static inline int take_word(Cursor *c, const char *word, int64_t length) {
    if (c->end - c->at < length || memcmp(c->at, word, (size_t)length) != 0) return 0;
    c->at += length;
    return 1;
}

/* A string of printable ASCII without an escape. */
static inline int text(Cursor *c, Text *out) {
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

static inline int is_digit(const Cursor *c) { return c->at < c->end && *c->at >= '0' && *c->at <= '9'; }

/* The digits of a number that is not negative, without those behind a point. */
static inline int digits(Cursor *c, int64_t *out, int most) {
    const uint8_t *from = c->at;
    int64_t value = 0;
    while (is_digit(c)) {
        if (c->at - from == most) return 0;
        value = value * 10 + (*c->at++ - '0');
    }
    *out = value;
    return c->at > from;
}

static inline int integer(Cursor *c, int64_t *out, int64_t most) {
    skip_space(c);
    const uint8_t *from = c->at;
    if (!digits(c, out, MOST_DIGITS) || *out > most) return 0;
    if (*from == '0' && c->at - from > 1) return 0;
    return c->at == c->end || (*c->at != '.' && *c->at != 'e' && *c->at != 'E');
}

static inline int is_null(Cursor *c) {
    skip_space(c);
    return take_word(c, "null", 4);
}

static inline int id(Cursor *c, Text *out) { return text(c, out) && out->length >= 1 && out->length <= ID_LENGTH; }

static inline int optional_id(Cursor *c, Text *out) { return is_null(c) || id(c, out); }

static inline int optional_integer(Cursor *c, int64_t *out, int64_t most) { return is_null(c) || integer(c, out, most); }

/* -- times, as in sources/times.py */

static inline int pair(const uint8_t *at, int *out) {
    if (at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9') return 0;
    *out = (at[0] - '0') * 10 + at[1] - '0';
    return 1;
}

static inline int days_of_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : days[month - 1];
}

/* Days since 1970 of a date from then on: years counted from March, so that a leap day is the last of one. */
static inline int64_t day_of(int year, int month, int day) {
    int64_t years = year - (month <= 2), months = (month + 9) % 12;
    return 365 * years + years / 4 - years / 100 + years / 400 + (153 * months + 2) / 5 + day - 719469;
}

/* 2026-11-30T12:34:56 and any fraction, as if it were of UTC; what stands behind it. */
static inline int clock_time(Text t, int64_t *out, Text *rest) {
    int century, years, month, day, hour, minute, second;
    const uint8_t *s = t.at, *end = t.at + t.length;
    if (t.length < 19 || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':') return 0;
    if (!pair(s, &century) || !pair(s + 2, &years) || !pair(s + 5, &month) || !pair(s + 8, &day)) return 0;
    if (!pair(s + 11, &hour) || !pair(s + 14, &minute) || !pair(s + 17, &second)) return 0;
    int year = century * 100 + years;
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_of_month(year, month)) return 0;
    if (hour > 23 || minute > 59 || second > 59) return 0;
    int64_t ms = day_of(year, month, day) * DAY_MS + (hour * 60 + minute) * (int64_t)MINUTE_MS + second * 1000;
    s += 19;
    if (s < end && *s == '.') {
        int count = 0, factor = 100;
        for (s++; s < end && *s >= '0' && *s <= '9'; s++, count++, factor /= 10) ms += (*s - '0') * factor;
        if (count == 0) return 0;
    }
    *out = ms;
    *rest = (Text){s, end - s};
    return 1;
}

/* The same less its offset: Z, or hours and minutes. */
static inline int without_offset(Text offset, int64_t *ms) {
    int offset_hours, offset_minutes;
    const uint8_t *s = offset.at;
    if (offset.length == 6 && (*s == '+' || *s == '-') && s[3] == ':') {
        if (!pair(s + 1, &offset_hours) || !pair(s + 4, &offset_minutes) || offset_hours > 23 || offset_minutes > 59) return 0;
        *ms -= (*s == '+' ? 1 : -1) * (int64_t)(offset_hours * 60 + offset_minutes) * MINUTE_MS;
    } else if (offset.length != 1 || *s != 'Z') {
        return 0;
    }
    return *ms >= 0 && *ms <= LAST_MS;
}

static inline int written_time(Text t, int64_t *out) {
    Text offset;
    return clock_time(t, out, &offset) && without_offset(offset, out);
}

static inline int time_of(Cursor *c, int64_t *out) {
    Text written;
    skip_space(c);
    return is_digit(c) ? integer(c, out, LAST_MS) : text(c, &written) && written_time(written, out);
}

/* -- energy, as in sources/unchecked.py: kilowatt-hours with at most six digits before the point and three behind it */

static inline int energy(Cursor *c, int64_t *wh) {
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

/* -- values that nobody asks for */

/* Whether bytes are text, as Python's decoder has it: no surrogates, each character in its shortest form. */
static inline int is_utf8(Text t) {
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    const uint8_t *at = t.at, *end = t.at + t.length;
    while (at < end) {
        int head = *at++;
        if (head < 0x80) continue;
        int more = head >= 0xf0 ? 3 : head >= 0xe0 ? 2 : 1;
        if (head < 0xc0 || head > 0xf4 || end - at < more) return 0;
        uint32_t character = (uint32_t)head & (0x3fu >> more);
        for (int i = 0; i < more; i++, at++) {
            if (*at >> 6 != 2) return 0;
            character = character << 6 | (*at & 0x3f);
        }
        if (character < least[more] || character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff)) return 0;
    }
    return 1;
}

/* An escape, behind its backslash; none of a surrogate. */
static inline int skip_escape(Cursor *c) {
    static const char single[] = {'"', '\\', '/', 'b', 'f', 'n', 'r', 't'};
    if (c->at == c->end) return 0;
    int head = *c->at++, surrogate = 0;
    if (head != 'u') return memchr(single, head, sizeof single) != NULL;
    if (c->end - c->at < 4) return 0;
    for (int i = 0; i < 4; i++) {
        int digit = *c->at++, lower = digit | 0x20;
        if (!(digit >= '0' && digit <= '9') && !(lower >= 'a' && lower <= 'f')) return 0;
        surrogate += (i == 0 && lower == 'd') || (i == 1 && (digit > '7'));
    }
    return surrogate < 2;
}

static inline int skip_text(Cursor *c) {
    if (!take(c, '"')) return 0;
    const uint8_t *from = c->at;
    while (c->at < c->end && *c->at != '"') {
        int head = *c->at++;
        if (head < 0x20 || (head == '\\' && !skip_escape(c))) return 0;
    }
    return c->at < c->end && is_utf8((Text){from, c->at++ - from});
}

static inline int skip_number(Cursor *c) {
    if (c->at < c->end && *c->at == '-') c->at++;
    const uint8_t *from = c->at;
    while (is_digit(c)) c->at++;
    if (c->at == from || (*from == '0' && c->at - from > 1)) return 0;
    if (c->at < c->end && *c->at == '.') {
        from = ++c->at;
        while (is_digit(c)) c->at++;
        if (c->at == from) return 0;
    }
    if (c->at < c->end && (*c->at == 'e' || *c->at == 'E')) {
        c->at++;
        if (c->at < c->end && (*c->at == '+' || *c->at == '-')) c->at++;
        from = c->at;
        while (is_digit(c)) c->at++;
        if (c->at == from) return 0;
    }
    return 1;
}

/* Any value, behind its white space. */
static inline int skip_any(Cursor *c, int depth) {
    skip_space(c);
    if (c->at == c->end || depth > DEEPEST) return 0;
    int head = *c->at;
    if (head == '"') return skip_text(c);
    if (head != '{' && head != '[') return take_word(c, "true", 4) || take_word(c, "false", 5) || take_word(c, "null", 4) || skip_number(c);
    int close = head == '{' ? '}' : ']';
    c->at++;
    if (take(c, (uint8_t)close)) return 1;
    do {
        if (head == '{' && !(skip_text(c) && take(c, ':'))) return 0;
        if (!skip_any(c, depth + 1)) return 0;
    } while (take(c, ','));
    return take(c, (uint8_t)close);
}

#endif
