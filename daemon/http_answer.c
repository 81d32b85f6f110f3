/* Short answers; see http_request.h. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "http_request.h"

enum { ANSWER_MAX_BYTES = 1024 };

bool http_add(struct MHD_Response *response, const char *name, const char *value)
{
	return MHD_add_response_header(response, name, value) == MHD_YES;
}

enum MHD_Result http_queue(struct request *request, unsigned status, struct MHD_Response *response,
                           uint64_t bytes)
{
	request->status = status;
	request->bytes = request->is_head ? 0 : bytes;
	return MHD_queue_response(request->connection, status, response);
}

static int write_text(struct buf *text, const struct request *request, unsigned status,
                      const char *sentence, struct err *err)
{
	if (request->wants_json && status >= 400)
		return buf_addf(text, err, "{\"error\":{\"code\":%u,\"message\":\"%s\"}}\n", status,
		                sentence);
	return *sentence ? buf_addf(text, err, "%s\n", sentence) : buf_addf(text, err, "%s", "");
}

enum MHD_Result http_answer(struct request *request, unsigned status, const char *sentence,
                            const char *name, const char *value)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(ANSWER_MAX_BYTES);
	CLEANUP(cleanup_response) struct MHD_Response *response = NULL;
	bool is_json = request->wants_json && status >= 400;
	struct err err;

	if (write_text(&text, request, status, sentence, &err))
		return MHD_NO;
	response = MHD_create_response_from_buffer(text.size, text.data, MHD_RESPMEM_MUST_COPY);
	if (!response ||
	    !http_add(response, "Content-Type",
	              is_json ? "application/json" : "text/plain; charset=utf-8") ||
	    !http_add(response, "X-Content-Type-Options", "nosniff") ||
	    !http_add(response, "Cache-Control", "no-cache") ||
	    (status >= 400 && !http_add(response, "Vary", "Accept")) ||
	    (name && !http_add(response, name, value)))
		return MHD_NO;
	return http_queue(request, status, response, text.size);
}

enum MHD_Result http_answer_later(struct request *request, const char *sentence)
{
	char seconds[12];

	(void)snprintf(seconds, sizeof(seconds), "%d", HTTP_RETRY_SECONDS);
	return http_answer(request, MHD_HTTP_SERVICE_UNAVAILABLE, sentence, "Retry-After", seconds);
}
