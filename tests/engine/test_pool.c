/* The thread pool: every item once, thread numbers in range and never shared, many runs, many callers. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "framegate.h"

#define ITEMS 1000
#define THREADS 4

typedef struct run {
    _Atomic uint32_t times[ITEMS];
    _Atomic uint32_t busy[THREADS];
    _Atomic uint32_t wrong;
} run;

static void count(void *context, uint32_t item, uint32_t thread)
{
    run *r = context;
    if (thread >= THREADS || atomic_fetch_add(&r->busy[thread], 1) != 0) atomic_store(&r->wrong, 1);
    atomic_fetch_add(&r->times[item], 1);
    atomic_fetch_sub(&r->busy[thread % THREADS], 1);
}

static int try_count(fg_pool *pool, uint32_t items)
{
    static _Thread_local run r;
    memset(&r, 0, sizeof r);
    fg_pool_run(pool, count, &r, items);
    int bad = (int)atomic_load(&r.wrong);
    for (uint32_t i = 0; i < ITEMS; i++) bad |= atomic_load(&r.times[i]) != (i < items);
    return bad;
}

static void *caller(void *pool)
{
    int bad = 0;
    for (uint32_t i = 0; i < 500; i++) bad |= try_count(pool, i % ITEMS);
    return bad ? pool : NULL;
}

int main(void)
{
    if (fg_pool_create(0) != NULL || fg_pool_create(100000) != NULL) return 1;
    for (uint32_t threads = 1; threads <= THREADS; threads++) {
        fg_pool *pool = fg_pool_create(threads);
        if (pool == NULL) return 2;
        const uint32_t counts[] = {0, 1, 2, 3, 7, ITEMS};
        for (int repeat = 0; repeat < 200; repeat++)
            for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
                if (try_count(pool, counts[i])) return 3;
        pthread_t others[3];
        for (int i = 0; i < 3; i++)
            if (pthread_create(&others[i], NULL, caller, pool) != 0) return 4;
        int bad = caller(pool) != NULL;
        for (int i = 0; i < 3; i++) {
            void *result;
            pthread_join(others[i], &result);
            bad |= result != NULL;
        }
        if (bad) return 5;
        fg_pool_destroy(pool);
    }
    fg_pool_destroy(NULL);
    puts("pool: ok");
    return 0;
}
