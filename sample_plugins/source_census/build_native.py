"""Describe the extension module `source_census._native` to CFFI (API mode, stable ABI)."""

from cffi import FFI

ffibuilder = FFI()
ffibuilder.cdef(
    """
    typedef struct census census;
    typedef struct {
        uint64_t lines, longest_line, identifiers, numbers, operators;
        uint64_t distinct, text_bytes;
    } census_totals;

    census *census_new(void);
    void census_free(census *);
    int census_scan(census *, const uint8_t *source, size_t size);
    census_totals census_sum(const census *);
    void census_export(const census *, uint8_t *text, uint64_t *lengths, uint64_t *counts);
    """
)
ffibuilder.set_source(
    "source_census._native",
    '#include "scanner.h"',
    sources=["native/scanner.c"],
    include_dirs=["native"],
    py_limited_api=True,
)
