/* pool.c: a small pthread pool for hosted systems. Workers spin for a moment, then sleep; the caller works too.
 *
 * A run is open while its caller takes items. Workers join an open run, take items until none is left and leave; the
 * caller closes the run when it finds no more items and waits for those who joined. A worker that wakes too late finds
 * the run closed, so nobody ever waits for a sleeper. */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../../include/framegate.h"

#define CLOSED 0x80000000u /* flag of fg_pool.joined */
#define SPIN 300000        /* nanoseconds: most gaps between two layers, and waits for another's last item */
#define SHORT_SPIN 20000   /* from here on others who want the CPU may have it */
#define MAX_THREADS 256

typedef struct fg_worker {
    struct fg_pool *pool;
    uint32_t thread; /* 1 and up; the caller is 0 */
    pthread_t handle;
} fg_worker;

struct fg_pool {
    pthread_mutex_t caller; /* held by the run that has the workers */
    pthread_mutex_t mutex;  /* for the two conditions */
    pthread_cond_t wake, left;
    fg_task function; /* of the open run */
    void *context;
    uint32_t count;
    _Atomic uint32_t next;       /* item to take */
    _Atomic uint32_t joined;     /* workers in the run, and CLOSED */
    _Atomic uint32_t generation; /* runs so far, and one more to stop */
    _Atomic uint32_t stop;
    _Atomic long process; /* whose threads the workers are; 0 while they are being started */
    uint32_t sleepers;    /* under mutex */
    uint32_t worker_count, threads;
    fg_worker workers[];
};

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Whether a value becomes number, or anything else if not equal, before it is time to sleep. */
static int spin(const _Atomic uint32_t *value, uint32_t number, int equal)
{
    for (uint64_t start = now(), passed = 0; passed < SPIN; passed = now() - start) {
        for (int i = 0; i < 32; i++) {
            if ((atomic_load(value) == number) == equal) return 1;
            relax();
        }
        if (passed > SHORT_SPIN) sched_yield();
    }
    return 0;
}

static void take_items(fg_pool *pool, uint32_t thread)
{
    for (;;) {
        uint32_t item = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (item >= pool->count) return;
        pool->function(pool->context, item, thread);
    }
}

static void leave(fg_pool *pool)
{
    if (atomic_fetch_sub(&pool->joined, 1) != (CLOSED | 1)) return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_signal(&pool->left);
    pthread_mutex_unlock(&pool->mutex);
}

static void await_run(fg_pool *pool, uint32_t seen)
{
    if (spin(&pool->generation, seen, 0)) return;
    pthread_mutex_lock(&pool->mutex);
    pool->sleepers++;
    while (atomic_load(&pool->generation) == seen) pthread_cond_wait(&pool->wake, &pool->mutex);
    pool->sleepers--;
    pthread_mutex_unlock(&pool->mutex);
}

static void *work(void *argument)
{
    const fg_worker *worker = argument;
    fg_pool *pool = worker->pool;
    uint32_t seen = 0;
    for (;;) {
        await_run(pool, seen);
        if (atomic_load(&pool->stop)) return NULL;
        seen = atomic_load(&pool->generation);
        if (!(atomic_fetch_add(&pool->joined, 1) & CLOSED)) take_items(pool, worker->thread);
        leave(pool);
    }
}

static void next_generation(fg_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->generation, 1);
    if (pool->sleepers > 0) pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
}

static void start(fg_pool *pool)
{
    pthread_mutex_init(&pool->caller, NULL);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->left, NULL);
    atomic_init(&pool->next, 0);
    atomic_init(&pool->joined, CLOSED);
    atomic_init(&pool->generation, 0);
    atomic_init(&pool->stop, 0);
    pool->sleepers = 0;
    pool->worker_count = 0;
    for (uint32_t i = 0; i + 1 < pool->threads; i++) {
        fg_worker *worker = &pool->workers[i];
        worker->pool = pool;
        worker->thread = i + 1;
        if (pthread_create(&worker->handle, NULL, work, worker) != 0) break; /* fewer will do */
        pool->worker_count++;
    }
    atomic_store(&pool->process, (long)getpid());
}

/* After a fork the child has the pool's memory but none of its threads: the first run there starts them anew. */
static int has_workers(fg_pool *pool)
{
    long process = atomic_load(&pool->process);
    if (process == (long)getpid()) return 1;
    if (process == 0 || !atomic_compare_exchange_strong(&pool->process, &process, 0)) return 0;
    start(pool);
    return 1;
}

fg_pool *fg_pool_create(uint32_t threads)
{
    if (threads == 0 || threads > MAX_THREADS) return NULL;
    fg_pool *pool = calloc(1, sizeof(fg_pool) + (threads - 1) * sizeof(fg_worker));
    if (pool == NULL) return NULL;
    pool->threads = threads;
    start(pool);
    if (threads > 1 && pool->worker_count == 0) {
        fg_pool_destroy(pool);
        return NULL;
    }
    return pool;
}

void fg_pool_run(void *pool_pointer, fg_task function, void *context, uint32_t count)
{
    fg_pool *pool = pool_pointer;
    /* One item needs no help; workers busy for another stream are not waited for. Any split gives the same results. */
    if (count < 2 || !has_workers(pool) || pthread_mutex_trylock(&pool->caller) != 0) {
        for (uint32_t item = 0; item < count; item++) function(context, item, 0);
        return;
    }
    pool->function = function;
    pool->context = context;
    pool->count = count;
    atomic_store(&pool->next, 0);
    atomic_fetch_and(&pool->joined, ~CLOSED);
    next_generation(pool);
    take_items(pool, 0);
    atomic_fetch_or(&pool->joined, CLOSED);
    if (!spin(&pool->joined, CLOSED, 1)) {
        pthread_mutex_lock(&pool->mutex);
        while (atomic_load(&pool->joined) != CLOSED) pthread_cond_wait(&pool->left, &pool->mutex);
        pthread_mutex_unlock(&pool->mutex);
    }
    pthread_mutex_unlock(&pool->caller);
}

void fg_pool_destroy(fg_pool *pool)
{
    if (pool == NULL) return;
    if (atomic_load(&pool->process) == (long)getpid()) {
        atomic_store(&pool->stop, 1);
        next_generation(pool);
        for (uint32_t i = 0; i < pool->worker_count; i++) pthread_join(pool->workers[i].handle, NULL);
        pthread_mutex_destroy(&pool->caller);
        pthread_mutex_destroy(&pool->mutex);
        pthread_cond_destroy(&pool->wake);
        pthread_cond_destroy(&pool->left);
    }
    free(pool);
}
