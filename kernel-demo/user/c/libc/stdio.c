/* Output: one system call for each line, or for what a call of printf writes of one. */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct line {
    char text[256];
    size_t length;
    int written;
};

static void flush(struct line *line) {
    if (line->length > 0)
        write(1, line->text, line->length);
    line->length = 0;
}

static void put(struct line *line, char character) {
    line->text[line->length++] = character;
    line->written++;
    if (character == '\n' || line->length == sizeof line->text)
        flush(line);
}

static void pad(struct line *line, char with, long count) {
    while (count-- > 0)
        put(line, with);
}

static void put_field(struct line *line, const char *text, size_t length, int width, bool left) {
    if (!left)
        pad(line, ' ', width - (long)length);
    for (size_t at = 0; at < length; at++)
        put(line, text[at]);
    if (left)
        pad(line, ' ', width - (long)length);
}

static void put_number(struct line *line, uint64_t number, const char *sign, unsigned base,
                       int width, bool left, bool zeros) {
    char digits[24], text[64];
    size_t count = 0, length = 0;
    do
        digits[count++] = "0123456789abcdef"[number % base];
    while ((number /= base) != 0);
    for (; *sign != 0; sign++)
        text[length++] = *sign;
    while (zeros && length + count < (size_t)width && length + count < sizeof text - 1)
        text[length++] = '0';
    while (count > 0)
        text[length++] = digits[--count];
    put_field(line, text, length, width, left);
}

int printf(const char *format, ...) {
    struct line line = {.length = 0, .written = 0};
    va_list list;
    va_start(list, format);
    for (; *format != 0; format++) {
        if (*format != '%') {
            put(&line, *format);
            continue;
        }
        bool left = false, zeros = false;
        int width = 0, longs = 0;
        for (format++; *format == '-' || *format == '0'; format++)
            *format == '-' ? (left = true) : (zeros = true);
        for (; *format >= '0' && *format <= '9'; format++)
            width = 10 * width + (*format - '0');
        for (; *format == 'l' || *format == 'z'; format++)
            longs++;
        switch (*format) {
        case 'd':
        case 'i': {
            int64_t number = longs > 0 ? va_arg(list, int64_t) : va_arg(list, int);
            uint64_t size = number < 0 ? -(uint64_t)number : (uint64_t)number;
            put_number(&line, size, number < 0 ? "-" : "", 10, width, left, zeros);
            break;
        }
        case 'u':
        case 'x': {
            uint64_t number = longs > 0 ? va_arg(list, uint64_t) : va_arg(list, unsigned);
            put_number(&line, number, "", *format == 'x' ? 16 : 10, width, left, zeros);
            break;
        }
        case 'p':
            put_number(&line, (uintptr_t)va_arg(list, void *), "0x", 16, width, left, false);
            break;
        case 'c': {
            char character = (char)va_arg(list, int);
            put_field(&line, &character, 1, width, left);
            break;
        }
        case 's': {
            const char *text = va_arg(list, const char *);
            text = text == NULL ? "(null)" : text;
            put_field(&line, text, strlen(text), width, left);
            break;
        }
        case 0:
            format--;
            break;
        default:
            put(&line, *format);
        }
    }
    va_end(list);
    flush(&line);
    return line.written;
}

int puts(const char *text) { return printf("%s\n", text); }

int putchar(int character) {
    printf("%c", character);
    return character;
}

int atoi(const char *text) {
    int sign = *text == '-' ? -1 : 1, number = 0;
    for (text += *text == '-'; *text >= '0' && *text <= '9'; text++)
        number = 10 * number + (*text - '0');
    return sign * number;
}

void abort(void) {
    /* An instruction that does not exist: SIGILL. */
    __builtin_trap();
}

void assertion_failed(const char *what, const char *file, int line) {
    printf("%s:%d: assertion failed: %s\n", file, line, what);
    exit(1);
}
