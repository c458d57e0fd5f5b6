/* Something for the compiler to chew on: generic containers by macro, a small parser, numeric loops. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VECTOR(T)                                                                                   \
    struct vector_##T { T *items; size_t len, capacity; };                                          \
    static int push_##T(struct vector_##T *v, T item) {                                             \
        if (v->len == v->capacity) {                                                                \
            size_t capacity = v->capacity ? v->capacity * 2 : 8;                                    \
            T *items = realloc(v->items, capacity * sizeof(T));                                     \
            if (!items) return -1;                                                                  \
            v->items = items;                                                                       \
            v->capacity = capacity;                                                                 \
        }                                                                                           \
        v->items[v->len++] = item;                                                                  \
        return 0;                                                                                   \
    }                                                                                               \
    static void sort_##T(T *a, long low, long high) {                                               \
        while (low < high) {                                                                        \
            T pivot = a[(low + high) / 2];                                                          \
            long i = low, j = high;                                                                 \
            while (i <= j) {                                                                        \
                while (a[i] < pivot) i++;                                                           \
                while (pivot < a[j]) j--;                                                           \
                if (i <= j) { T t = a[i]; a[i++] = a[j]; a[j--] = t; }                              \
            }                                                                                       \
            if (j - low < high - i) { sort_##T(a, low, j); low = i; }                               \
            else { sort_##T(a, i, high); high = j; }                                                \
        }                                                                                           \
    }                                                                                               \
    static T sum_##T(const T *a, size_t n) {                                                        \
        T s = 0;                                                                                    \
        for (size_t i = 0; i < n; i++) s += a[i] * a[n - 1 - i];                                    \
        return s;                                                                                   \
    }

typedef unsigned char byte;
typedef unsigned long ulong_t;
VECTOR(byte)
VECTOR(short)
VECTOR(int)
VECTOR(long)
VECTOR(ulong_t)
VECTOR(float)
VECTOR(double)

#define MULTIPLY(T, N)                                                                              \
    static void multiply_##T##N(T r[N][N], T a[N][N], T b[N][N]) {                                  \
        for (int i = 0; i < N; i++)                                                                 \
            for (int j = 0; j < N; j++) {                                                           \
                T s = 0;                                                                            \
                for (int k = 0; k < N; k++) s += a[i][k] * b[k][j];                                 \
                r[i][j] = s;                                                                        \
            }                                                                                       \
    }
MULTIPLY(int, 4)
MULTIPLY(int, 16)
MULTIPLY(long, 8)
MULTIPLY(float, 4)
MULTIPLY(float, 16)
MULTIPLY(double, 3)
MULTIPLY(double, 8)
MULTIPLY(double, 32)

enum kind { NUMBER, NAME, SIGN, END };
struct token { enum kind kind; double number; char name[32]; };
struct parser { const char *at; struct token token; double variables[26]; int failed; };

static void next(struct parser *p) {
    while (isspace((byte)*p->at)) p->at++;
    if (!*p->at) { p->token.kind = END; return; }
    if (isdigit((byte)*p->at)) {
        char *end;
        p->token.kind = NUMBER;
        p->token.number = strtod(p->at, &end);
        p->at = end;
        return;
    }
    if (isalpha((byte)*p->at)) {
        size_t n = 0;
        p->token.kind = NAME;
        while (isalnum((byte)*p->at) && n < sizeof p->token.name - 1) p->token.name[n++] = *p->at++;
        p->token.name[n] = 0;
        return;
    }
    p->token.kind = SIGN;
    p->token.name[0] = *p->at++;
    p->token.name[1] = 0;
}

static double expression(struct parser *p, int level) {
    static const char *signs[] = { "+-", "*/%", "^" };
    double left;
    if (level == 3) {
        if (p->token.kind == NUMBER) { left = p->token.number; next(p); return left; }
        if (p->token.kind == NAME) {
            char name[32];
            strcpy(name, p->token.name);
            next(p);
            if (p->token.kind == SIGN && *p->token.name == '(') {
                next(p);
                left = expression(p, 0);
                next(p);
                if (!strcmp(name, "sin")) return sin(left);
                if (!strcmp(name, "cos")) return cos(left);
                if (!strcmp(name, "exp")) return exp(left);
                if (!strcmp(name, "log")) return log(left);
                if (!strcmp(name, "sqrt")) return sqrt(left);
                p->failed = 1;
                return 0;
            }
            return p->variables[(tolower((byte)name[0]) - 'a') % 26];
        }
        if (p->token.kind == SIGN && *p->token.name == '(') {
            next(p);
            left = expression(p, 0);
            next(p);
            return left;
        }
        if (p->token.kind == SIGN && *p->token.name == '-') { next(p); return -expression(p, 3); }
        p->failed = 1;
        return 0;
    }
    left = expression(p, level + 1);
    while (p->token.kind == SIGN && strchr(signs[level], *p->token.name)) {
        char sign = *p->token.name;
        double right;
        next(p);
        right = expression(p, level + 1);
        switch (sign) {
        case '+': left += right; break;
        case '-': left -= right; break;
        case '*': left *= right; break;
        case '/': left /= right; break;
        case '%': left = fmod(left, right); break;
        case '^': left = pow(left, right); break;
        }
    }
    return left;
}

#define EXERCISE(T)                                                                                 \
    do {                                                                                            \
        struct vector_##T v = { 0 };                                                                \
        for (int i = 0; i < 1000; i++)                                                              \
            if (push_##T(&v, (T)((i * 7919) % 1009))) return 1;                                     \
        sort_##T(v.items, 0, (long)v.len - 1);                                                      \
        printf(#T " %g\n", (double)sum_##T(v.items, v.len));                                        \
        free(v.items);                                                                              \
    } while (0)

int main(int count, char **arguments) {
    struct parser p = { 0 };
    static double a[32][32], b[32][32], c[32][32];
    static float d[16][16], e[16][16], f[16][16];
    static int g[4][4], h[4][4], k[4][4];
    EXERCISE(byte);
    EXERCISE(short);
    EXERCISE(int);
    EXERCISE(long);
    EXERCISE(ulong_t);
    EXERCISE(float);
    EXERCISE(double);
    for (int i = 0; i < 32; i++)
        for (int j = 0; j < 32; j++) { a[i][j] = i * j; b[i][j] = i - j; d[i % 16][j % 16] = (float)(i ^ j); }
    multiply_double32(c, a, b);
    multiply_float16(f, d, e);
    multiply_int4(k, g, h);
    for (int i = 1; i < count; i++) {
        p.at = arguments[i];
        p.failed = 0;
        next(&p);
        printf("%s = %g%s\n", arguments[i], expression(&p, 0), p.failed ? " (wrong)" : "");
    }
    return c[1][1] > 0 && f[1][1] == 0 && k[0][0] == 0 ? 0 : 1;
}
