#include "scanner.h"

#include <stdlib.h>
#include <string.h>

enum { SEPARATOR, LETTER, DIGIT, OPERATOR };

/* What each byte is; one row of sixteen bytes per line. */
static const uint8_t KIND[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* 0x00 */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* 0x10 */
    0, 3, 0, 0, 0, 3, 3, 0, 0, 0, 3, 3, 0, 3, 3, 3, /* 0x20 */
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 0, 3, 3, 3, 0, /* 0x30 */
    3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* 0x40 */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 3, 1, /* 0x50 */
    0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* 0x60 */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 3, 0, 3, 0, /* 0x70 */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* 0x80 */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* 0x90 */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* 0xa0 */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* 0xb0 */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* 0xc0 */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* 0xd0 */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* 0xe0 */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* 0xf0 */
};

typedef struct {
    uint64_t hash, count;
    size_t start, length; /* in the text */
} word;

struct census {
    census_totals totals;
    word *words; /* in the order in which they were met */
    size_t words_room;
    uint8_t *text;
    size_t text_room;
    size_t *slots; /* open addressing: the number of a word plus one, or 0 */
    size_t slots_room; /* a power of two, more than the words */
};

enum { FIRST_ROOM = 1024 };

census *census_new(void) {
    census *self = calloc(1, sizeof *self);
    if (self == NULL)
        return NULL;
    self->words_room = FIRST_ROOM;
    self->text_room = FIRST_ROOM;
    self->slots_room = 2 * FIRST_ROOM;
    self->words = calloc(self->words_room, sizeof *self->words);
    self->text = malloc(self->text_room);
    self->slots = calloc(self->slots_room, sizeof *self->slots);
    if (self->words == NULL || self->text == NULL || self->slots == NULL) {
        census_free(self);
        return NULL;
    }
    return self;
}

void census_free(census *self) {
    if (self == NULL)
        return;
    free(self->words);
    free(self->text);
    free(self->slots);
    free(self);
}

/* FNV-1a, 64 bits. */
static uint64_t hash_of(const uint8_t *bytes, size_t length) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* Return the slot of a word that is known, or the free one where it belongs. */
static size_t slot_of(const census *self, uint64_t hash, const uint8_t *bytes, size_t length) {
    size_t mask = self->slots_room - 1;
    size_t slot = (size_t)(hash ^ hash >> 32) & mask;
    for (; self->slots[slot] != 0; slot = (slot + 1) & mask) {
        const word *known = &self->words[self->slots[slot] - 1];
        if (known->hash == hash && known->length == length &&
            memcmp(self->text + known->start, bytes, length) == 0)
            break;
    }
    return slot;
}

static int grow_text(census *self, size_t more) {
    size_t used = (size_t)self->totals.text_bytes;
    size_t room = self->text_room;
    if (more > SIZE_MAX - used)
        return -1;
    while (room < used + more) {
        if (room > SIZE_MAX / 2)
            return -1;
        room *= 2;
    }
    if (room == self->text_room)
        return 0;
    uint8_t *text = realloc(self->text, room);
    if (text == NULL)
        return -1;
    self->text = text;
    self->text_room = room;
    return 0;
}

/* Make room for one more word, so that at least half of the slots stay free. */
static int grow_words(census *self) {
    if (self->totals.distinct < self->words_room)
        return 0;
    if (self->words_room > SIZE_MAX / 4 / sizeof *self->words)
        return -1;
    size_t room = self->words_room * 2;
    word *words = realloc(self->words, room * sizeof *words);
    if (words == NULL)
        return -1;
    self->words = words;
    size_t *slots = calloc(2 * room, sizeof *slots);
    if (slots == NULL)
        return -1; /* words_room is as it was, so the next call tries again */
    free(self->slots);
    self->slots = slots;
    self->slots_room = 2 * room;
    self->words_room = room;
    for (size_t i = 0; i < self->totals.distinct; i++) {
        const word *known = &words[i];
        size_t slot = slot_of(self, known->hash, self->text + known->start, known->length);
        slots[slot] = i + 1;
    }
    return 0;
}

static int count_identifier(census *self, const uint8_t *bytes, size_t length) {
    uint64_t hash = hash_of(bytes, length);
    size_t slot = slot_of(self, hash, bytes, length);
    self->totals.identifiers++;
    if (self->slots[slot] != 0) {
        self->words[self->slots[slot] - 1].count++;
        return 0;
    }
    if (grow_text(self, length) != 0 || grow_words(self) != 0)
        return -1;
    size_t number = (size_t)self->totals.distinct;
    size_t start = (size_t)self->totals.text_bytes;
    memcpy(self->text + start, bytes, length);
    self->words[number] = (word){hash, 1, start, length};
    self->totals.text_bytes += length;
    self->slots[slot_of(self, hash, bytes, length)] = number + 1; /* the slots may have moved */
    self->totals.distinct++;
    return 0;
}

static void count_lines(census *self, const uint8_t *source, size_t size) {
    size_t start = 0;
    while (start < size) {
        const uint8_t *newline = memchr(source + start, '\n', size - start);
        size_t end = newline == NULL ? size : (size_t)(newline - source);
        if (end - start > self->totals.longest_line)
            self->totals.longest_line = end - start;
        self->totals.lines++;
        start = end + 1;
    }
}

int census_scan(census *self, const uint8_t *source, size_t size) {
    count_lines(self, source, size);
    size_t at = 0;
    while (at < size) {
        size_t start = at;
        switch (KIND[source[at++]]) {
        case LETTER:
            while (at < size && (KIND[source[at]] == LETTER || KIND[source[at]] == DIGIT))
                at++;
            if (count_identifier(self, source + start, at - start) != 0)
                return -1;
            break;
        case DIGIT:
            while (at < size && (KIND[source[at]] == LETTER || KIND[source[at]] == DIGIT ||
                                 source[at] == '.'))
                at++;
            self->totals.numbers++;
            break;
        case OPERATOR:
            while (at < size && KIND[source[at]] == OPERATOR)
                at++;
            self->totals.operators++;
            break;
        default:
            break;
        }
    }
    return 0;
}

census_totals census_sum(const census *self) { return self->totals; }

void census_export(const census *self, uint8_t *text, uint64_t *lengths, uint64_t *counts) {
    memcpy(text, self->text, (size_t)self->totals.text_bytes);
    for (size_t i = 0; i < self->totals.distinct; i++) {
        lengths[i] = self->words[i].length;
        counts[i] = self->words[i].count;
    }
}
