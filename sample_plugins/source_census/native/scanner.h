/* Count the lines, tokens and identifiers of source code, byte by byte.
 *
 * A token is the longest run of
 *   identifier   a letter or underscore, then letters, digits and underscores
 *   number       a digit, then letters, digits, underscores and dots
 *   operator     any of ! % & * + - . / : < = > @ ^ | ~
 * where a byte from 0x80 on counts as a letter. Every other byte only separates. Words inside
 * strings and comments count too.
 *
 * A line ends with a newline byte; what stands after the last one is a line if it is not empty.
 *
 * Any bytes are accepted. A census is used by one thread at a time.
 */
#ifndef SOURCE_CENSUS_SCANNER_H
#define SOURCE_CENSUS_SCANNER_H

#include <stddef.h>
#include <stdint.h>

typedef struct census census;

typedef struct {
    uint64_t lines, longest_line, identifiers, numbers, operators;
    uint64_t distinct;   /* different identifiers */
    uint64_t text_bytes; /* their bytes, added up */
} census_totals;

/* Return an empty census, owned by the caller, or NULL when memory is short. */
census *census_new(void);

/* Free a census; NULL is allowed. */
void census_free(census *self);

/* Add one file. Return 0, or -1 when memory is short: the file is then counted in part. */
int census_scan(census *self, const uint8_t *source, size_t size);

/* Return what was counted so far. */
census_totals census_sum(const census *self);

/* Write the identifiers in the order in which they were first met: their bytes one after the
 * other into `text` (text_bytes), their lengths and counts into arrays of `distinct` numbers. */
void census_export(const census *self, uint8_t *text, uint64_t *lengths, uint64_t *counts);

#endif
