/* Memory that grows: bytes, or numbers, one behind the other. */

#ifndef STREAM_APP_BUFFER_H
#define STREAM_APP_BUFFER_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Grows at its end; what it holds moves. */
typedef struct {
    uint8_t *data;
    int64_t used, size;
} Buffer;

static inline int reserve(Buffer *b, int64_t bytes) {
    if (b->size - b->used >= bytes) return 1;
    int64_t size = 2 * (b->used + bytes) + 1024;
    uint8_t *data = realloc(b->data, (size_t)size);
    if (data == NULL) return 0;
    b->data = data;
    b->size = size;
    return 1;
}

static inline int64_t *numbers(Buffer *b) { return (int64_t *)b->data; }

static inline int push(Buffer *b, int64_t number) {
    if (!reserve(b, 8)) return 0;
    memcpy(b->data + b->used, &number, 8);
    b->used += 8;
    return 1;
}

#endif
