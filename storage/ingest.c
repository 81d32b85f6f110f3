/*
 * Contents to objects; see ingest.h. One mutex guards the queue, the results
 * and the first error; writing happens outside of it. Two workers may write
 * the same content at once: each renames a whole object to the same name.
 */
#include "ingest.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/cpus.h"
#include "object.h"

enum {
	WORKERS_MAX = 4,
	WAITING_MAX = 256,
	BATCH_MAX = 32,          /* contents that a worker takes at once: a lock for each is dear */
	BATCH_BYTES = 64 * 1024, /* but no more once it has these: others are to help */
	/* Of what waits and is being written; half of it may be one content. */
	BYTES_MAX = 2 * INGEST_BYTES_MAX,
	SHA256_BYTES = 32,
};

struct job {
	void *bytes;
	size_t size;
	uint32_t number;
};

/* struct ingested without the room that other digests would need: there may be a million. */
struct result {
	unsigned char content[SHA256_BYTES];
	unsigned char twin[SHA256_BYTES];
	uint64_t size;
	uint64_t twin_size;
};

struct batch {
	struct job jobs[BATCH_MAX];
	struct ingested done[BATCH_MAX];
	size_t count, done_count;
};

struct worker {
	struct ingest *ingest;
	pthread_t thread;
	struct object_writer *writer;
	struct twin_maker *maker;
	struct batch batch;
};

struct ingest {
	const struct layout *layout;
	struct worker workers[WORKERS_MAX];
	unsigned worker_count;

	pthread_mutex_t mutex;           /* guards all below */
	pthread_cond_t changed_queue;    /* workers wait for work */
	pthread_cond_t changed_room;     /* the reader waits for room, and for the end */
	struct job waiting[WAITING_MAX]; /* a ring */
	size_t first, count;
	unsigned busy; /* workers with a batch */
	unsigned idle; /* workers that wait */
	bool is_reader_waiting;
	size_t bytes; /* of contents that wait or are being written */
	struct result *results;
	size_t result_count, result_room;
	struct err err; /* the first failure */
	bool has_failed, is_ending;
};

static int write_content(struct worker *worker, const struct job *job,
                         struct ingested *out_ingested, struct err *err)
{
	struct ingested done = { .twin_size = 0, .size = job->size };

	if (object_writer_put(worker->writer, job->bytes, job->size, &done.content, err))
		return -1;
	if (twin_is_wanted(job->bytes, job->size) &&
	    twin_make(worker->maker, worker->writer, job->bytes, job->size, &done.twin,
	              &done.twin_size, err))
		return -1;
	*out_ingested = done;
	return 0;
}

/* The reader sleeps until half the queue is free, since to be woken is dear as well. */
static bool has_room(const struct ingest *ingest)
{
	return ingest->count <= WAITING_MAX / 2 && ingest->bytes <= BYTES_MAX / 2;
}

static void keep(struct ingest *ingest, uint32_t number, const struct ingested *done)
{
	struct result *result = &ingest->results[number];

	memcpy(result->content, done->content.bytes, SHA256_BYTES);
	memcpy(result->twin, done->twin.bytes, SHA256_BYTES);
	result->size = done->size;
	result->twin_size = done->twin_size;
}

/* Put away what became of a batch: all of it, or the jobs before a failure. */
static void end_batch(struct ingest *ingest, const struct batch *batch, const struct err *failure)
{
	(void)pthread_mutex_lock(&ingest->mutex);
	ingest->busy--;
	for (size_t i = 0; i < batch->count; i++)
		ingest->bytes -= batch->jobs[i].size;
	for (size_t i = 0; i < batch->done_count; i++)
		keep(ingest, batch->jobs[i].number, &batch->done[i]);
	if (failure && !ingest->has_failed) {
		ingest->err = *failure;
		ingest->has_failed = true;
	}
	if (!ingest->is_reader_waiting || has_room(ingest) || ingest->has_failed)
		(void)pthread_cond_signal(&ingest->changed_room);
	(void)pthread_mutex_unlock(&ingest->mutex);
}

/* Wait for contents, and take a fair part of those that wait; false at the end. */
static bool next_batch(struct ingest *ingest, struct batch *batch)
{
	bool has_work;

	batch->count = 0;
	batch->done_count = 0;
	(void)pthread_mutex_lock(&ingest->mutex);
	while (!ingest->count && !ingest->is_ending) {
		ingest->idle++;
		(void)pthread_cond_wait(&ingest->changed_queue, &ingest->mutex);
		ingest->idle--;
	}
	has_work = !ingest->is_ending;
	if (has_work) {
		size_t part = ingest->count / ingest->worker_count + 1;
		size_t bytes = 0;

		while (ingest->count && batch->count < part && batch->count < BATCH_MAX &&
		       bytes < BATCH_BYTES) {
			bytes += ingest->waiting[ingest->first].size;
			batch->jobs[batch->count++] = ingest->waiting[ingest->first];
			ingest->first = (ingest->first + 1) % WAITING_MAX;
			ingest->count--;
		}
		ingest->busy++;
	}
	(void)pthread_mutex_unlock(&ingest->mutex);
	return has_work;
}

static void *work(void *ctx)
{
	struct worker *worker = ctx;
	struct batch *batch = &worker->batch;
	struct err err;

	while (next_batch(worker->ingest, batch)) {
		bool failed = false;

		for (size_t i = 0; i < batch->count; i++) {
			failed = failed ||
			         write_content(worker, &batch->jobs[i], &batch->done[i], &err);
			batch->done_count += !failed;
			free(batch->jobs[i].bytes);
		}
		end_batch(worker->ingest, batch, failed ? &err : NULL);
	}
	return NULL;
}

static int start_worker(struct ingest *ingest, struct err *err)
{
	struct worker *worker = &ingest->workers[ingest->worker_count];
	int sys;

	worker->ingest = ingest;
	worker->writer = object_writer_new(ingest->layout, err);
	worker->maker = worker->writer ? twin_maker_new(err) : NULL;
	if (worker->maker) {
		sys = pthread_create(&worker->thread, NULL, work, worker);
		if (!sys) {
			ingest->worker_count++;
			return 0;
		}
		(void)err_set_sys(err, sys, "start a thread");
	}
	twin_maker_free(worker->maker);
	object_writer_free(worker->writer);
	return -1;
}

static unsigned cpus(void)
{
	unsigned count = cpus_available("");

	return count < WORKERS_MAX ? count : WORKERS_MAX;
}

struct ingest *ingest_new(const struct layout *layout, struct err *err)
{
	struct ingest *ingest = calloc(1, sizeof(*ingest));
	unsigned wanted = cpus();

	if (!ingest) {
		(void)err_set_sys(err, ENOMEM, "queue of contents");
		return NULL;
	}
	ingest->layout = layout;
	(void)pthread_mutex_init(&ingest->mutex, NULL);
	(void)pthread_cond_init(&ingest->changed_queue, NULL);
	(void)pthread_cond_init(&ingest->changed_room, NULL);
	while (ingest->worker_count < wanted)
		if (start_worker(ingest, err)) {
			ingest_free(ingest);
			return NULL;
		}
	return ingest;
}

void ingest_free(struct ingest *ingest)
{
	if (!ingest)
		return;
	(void)pthread_mutex_lock(&ingest->mutex);
	ingest->is_ending = true;
	(void)pthread_cond_broadcast(&ingest->changed_queue);
	(void)pthread_mutex_unlock(&ingest->mutex);
	for (unsigned i = 0; i < ingest->worker_count; i++) {
		(void)pthread_join(ingest->workers[i].thread, NULL);
		twin_maker_free(ingest->workers[i].maker);
		object_writer_free(ingest->workers[i].writer);
	}
	for (size_t i = 0; i < ingest->count; i++)
		free(ingest->waiting[(ingest->first + i) % WAITING_MAX].bytes);
	(void)pthread_cond_destroy(&ingest->changed_room);
	(void)pthread_cond_destroy(&ingest->changed_queue);
	(void)pthread_mutex_destroy(&ingest->mutex);
	free(ingest->results);
	free(ingest);
}

/* The next number, under the mutex. */
static int new_result(struct ingest *ingest, uint32_t *out_number, struct err *err)
{
	if (ingest->result_count == ingest->result_room) {
		size_t room = ingest->result_room ? ingest->result_room * 2 : 256;
		struct result *results = realloc(ingest->results, room * sizeof(*results));

		if (!results)
			return err_set_sys(err, ENOMEM, "list of %zu contents", room);
		ingest->results = results;
		ingest->result_room = room;
	}
	*out_number = (uint32_t)ingest->result_count++;
	return 0;
}

static int put_in_queue(struct ingest *ingest, struct job *job, struct err *err)
{
	if (ingest->count == WAITING_MAX ||
	    (ingest->bytes && ingest->bytes + job->size > BYTES_MAX)) {
		ingest->is_reader_waiting = true;
		while (!ingest->has_failed && !has_room(ingest))
			(void)pthread_cond_wait(&ingest->changed_room, &ingest->mutex);
		ingest->is_reader_waiting = false;
	}
	if (ingest->has_failed) {
		*err = ingest->err;
		return -1;
	}
	if (new_result(ingest, &job->number, err))
		return -1;
	ingest->waiting[(ingest->first + ingest->count++) % WAITING_MAX] = *job;
	ingest->bytes += job->size;
	if (ingest->idle)
		(void)pthread_cond_signal(&ingest->changed_queue);
	return 0;
}

int ingest_take(struct ingest *ingest, void *bytes, size_t size, uint32_t *out_number,
                struct err *err)
{
	struct job job = { .bytes = bytes, .size = size };
	int failed;

	(void)pthread_mutex_lock(&ingest->mutex);
	failed = put_in_queue(ingest, &job, err);
	(void)pthread_mutex_unlock(&ingest->mutex);
	if (failed)
		free(bytes);
	else
		*out_number = job.number;
	return failed;
}

int ingest_add(struct ingest *ingest, const struct digest *content, uint64_t size,
               uint32_t *out_number, struct err *err)
{
	const struct ingested done = { .content = *content, .size = size };
	int failed;

	(void)pthread_mutex_lock(&ingest->mutex);
	failed = new_result(ingest, out_number, err);
	if (!failed)
		keep(ingest, *out_number, &done);
	(void)pthread_mutex_unlock(&ingest->mutex);
	return failed;
}

int ingest_finish(struct ingest *ingest, struct err *err)
{
	int failed;

	(void)pthread_mutex_lock(&ingest->mutex);
	while (!ingest->has_failed && (ingest->count || ingest->busy))
		(void)pthread_cond_wait(&ingest->changed_room, &ingest->mutex);
	failed = ingest->has_failed ? -1 : 0;
	if (failed)
		*err = ingest->err;
	(void)pthread_mutex_unlock(&ingest->mutex);
	return failed;
}

void ingest_result(const struct ingest *ingest, uint32_t number, struct ingested *out_ingested)
{
	const struct result *result = &ingest->results[number];
	struct ingested done = { .size = result->size, .twin_size = result->twin_size };

	done.content.algorithm = DIGEST_SHA256;
	memcpy(done.content.bytes, result->content, SHA256_BYTES);
	if (done.twin_size) {
		done.twin.algorithm = DIGEST_SHA256;
		memcpy(done.twin.bytes, result->twin, SHA256_BYTES);
	}
	*out_ingested = done;
}
