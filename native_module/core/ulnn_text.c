// SPDX-License-Identifier: MIT
// Error texts (SPEC section 4) from numbers, without printf: natmods have none for exceptions.
#include "ulnn_internal.h"

// What several texts share: %A, %B and so on. Escapes are allowed in there, but not these.
#define ULNN_S_NOT_SUPPORTED "%A"
#define ULNN_S_EXPECTED "%B"
#define ULNN_S_RESERVED "%C"
#define ULNN_S_FIT "%D"
#define ULNN_S_GOLDEN "%E"
#define ULNN_S_SECTION "%F"
ULNN_CONST char ulnn_phrases[] = " %g not supported\0"
                                 " %g, expected \0"
                                 "reserved field is not 0\0"
                                 " fit in the section\0"
                                 "golden vectors: \0"
                                 "section %k: \0";

#define ULNN_QUOTE(number) ULNN_QUOTE_NOW(number)
#define ULNN_QUOTE_NOW(number) #number

// All texts one after the other, each ending in 0: one object and no pointers to relocate.
ULNN_CONST char ulnn_texts[] =
#define ULNN_ERROR(name, text) text "\0"
#include "ulnn_errors.h"
#undef ULNN_ERROR
    ;

ULNN_CONST char ulnn_dialects[] =
    "ncps.torch\0ncps.keras\0raminmh.torch\0raminmh.tf\0ulnn\0torch\0";

// The n-th of several strings that stand one after the other.
static const char *ulnn_nth(const char *texts, unsigned n) {
    for (; n != 0; n--) {
        while (*texts++ != 0) {
        }
    }
    return texts;
}

// n / 10 by shifts (no division routine on small processors); low by one at most.
static size_t ulnn_tenth(size_t n) {
    size_t q = (n >> 1) + (n >> 2);
    q += q >> 4;
    q += q >> 8;
    q += q >> 16;
    q += (q >> 16) >> 16;
    q >>= 3;
    return n - q * 10 > 9 ? q + 1 : q;
}

static char *ulnn_decimal(char *to, size_t n) {
    char digits[20];
    unsigned count = 0;
    do {
        size_t rest = ulnn_tenth(n);
        digits[count++] = (char)('0' + (int)(n - rest * 10));
        n = rest;
    } while (n != 0);
    while (count != 0) {
        *to++ = digits[--count];
    }
    return to;
}

static char *ulnn_copy(char *to, const char *from) {
    while (*from != 0) {
        *to++ = *from++;
    }
    return to;
}

size_t ulnn_error_text(const ulnn_error_t *error, char *text) {
    char *to = text;
    if (error->status <= ULNN_FIRST_TEXT) {
        to = ulnn_copy(to, error->status == ULNN_BAD_MEMORY ? "bad memory" : "bad alignment");
        *to = 0;
        return (size_t)(to - text);
    }
    const char *from = ulnn_nth(ulnn_texts, (unsigned)error->status - ULNN_FIRST_TEXT - 1u);
    const char *back = NULL; // where the text goes on behind a phrase
    for (;;) {
        char c = *from++;
        if (c == 0) {
            if (back == NULL) {
                break;
            }
            from = back;
            back = NULL;
            continue;
        }
        if (c != '%') {
            *to++ = c;
            continue;
        }
        c = *from++;
        if (c < 'a') {
            back = from;
            from = ulnn_nth(ulnn_phrases, (unsigned)(c - 'A'));
        } else if (c == 'g') {
            to = ulnn_decimal(to, error->got);
        } else if (c == 'w') {
            to = ulnn_decimal(to, error->want);
        } else if (c == 'k') {
            to = ulnn_decimal(to, error->index);
        } else {
            to = ulnn_copy(to, "layer ");
            to = ulnn_decimal(to, error->layer);
            if (c == 'm') {
                to = ulnn_copy(to, " matrix ");
                to = ulnn_decimal(to, error->matrix);
            }
            to = ulnn_copy(to, ": ");
        }
    }
    *to = 0;
    return (size_t)(to - text);
}

const char *ulnn_dialect_name(unsigned dialect) {
    return dialect >= 1 && dialect <= ULNN_DIALECTS_MAX ? ulnn_nth(ulnn_dialects, dialect - 1) : "";
}
