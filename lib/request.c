#include "request.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/message.h"
#include "net/stripe.h"

#define VEIL "***"

static const char *
veil(const struct request *request, const char *secret)
{
	return request->shown ? VEIL : secret;
}

/* The host may be known, and is what one looks for in an address. */
static char *
veil_url(const struct request *request, const char *url)
{
	const char *host = strstr(url, "://"), *path;

	if (!request->shown)
		return mem_copy(url);
	host = host != NULL ? host + 3 : url;
	path = host + strcspn(host, "/?#");
	return mem_format("%.*s/" VEIL, (int)(path - url), url);
}

/* The header is taken. */
static void
add_header(struct request *request, char *header)
{
	size_t i = 0;

	while (request->headers[i] != NULL)
		i++;
	request->headers[i] = header;
}

static void
take_form(struct request *request, struct buf *form)
{
	request->body = mem_copy(buf_string(form));
	buf_release(form);
	add_header(request,
	    mem_copy("Content-Type: application/x-www-form-urlencoded"));
}

static char *
sms_text(const char *body)
{
	json_t *sms = NULL;
	char *text = NULL;

	if (json_parse(&sms, body, strlen(body), NULL))
		text = mem_copy(json_text(sms, "text"));
	json_decref(sms);
	return text != NULL ? text : mem_copy("");
}

static void
make_twilio(struct request *request, const struct conf *conf,
    const struct conf_destination *destination, const char *body)
{
	char *text = sms_text(body);
	struct buf form = BUF_INIT(8192);

	buf_field(&form, "To", veil(request, conf->sms_to));
	buf_field(&form,
	    strncmp(conf->twilio_from, "MG", 2) == 0 ? "MessagingServiceSid"
						     : "From",
	    conf->twilio_from);
	buf_field(&form, "Body", text);
	take_form(request, &form);
	free(text);
	request->url = mem_format("%s/2010-04-01/Accounts/%s/Messages.json",
	    destination->url, veil(request, conf->twilio_account_sid));
	request->http.user = veil(request, conf->twilio_account_sid);
	request->http.password = veil(request, conf->twilio_auth_token);
}

static char *
sms_document(const struct request *request, const struct conf *conf,
    const struct request_content *content)
{
	char *text = sms_text(content->body), *body;
	json_t *sms = json_object();

	json_put(sms, "to", veil(request, conf->sms_to));
	json_put(sms, "text", text);
	json_put(sms, "id", content->key);
	body = json_compact(sms);
	json_decref(sms);
	free(text);
	return body;
}

static void
make_json(struct request *request, const struct conf *conf,
    const struct conf_destination *destination,
    const struct request_content *content)
{
	request->url = veil_url(request, destination->url);
	add_header(request, mem_copy("Content-Type: application/json"));
	add_header(request, mem_format("Idempotency-Key: %s", content->key));
	add_header(request, mem_format("webhook-id: %s", content->key));
	if (destination->api_key != NULL)
		add_header(request,
		    mem_format("x-make-apikey: %s",
			veil(request, destination->api_key)));
	if (content->plain)
		request->body = message_slack_plain(content->body);
	else if (destination->dialect == CONF_SMS_WEBHOOK)
		request->body = sms_document(request, conf, content);
}

/* The row says which request: {"method":…,"path":…,"form":{…}}. */
static void
make_stripe(struct request *request, const struct conf *conf,
    const struct conf_destination *destination,
    const struct request_content *content)
{
	struct buf form = BUF_INIT(65536);
	json_t *row = NULL, *value;
	const char *name;

	if (!json_parse(&row, content->body, strlen(content->body), NULL))
		row = NULL;
	json_object_foreach(json_object_get(row, "form"), name, value)
	{
		buf_field(&form, name, json_string_value(value));
	}
	take_form(request, &form);
	add_header(request, mem_copy("Stripe-Version: " STRIPE_VERSION));
	add_header(request, mem_format("Idempotency-Key: %s", content->key));
	request->url =
	    mem_format("%s%s", destination->url, json_text(row, "path"));
	request->method = mem_copy(json_text(row, "method"));
	request->http.user = veil(request, conf->stripe_secret_key);
	request->http.password = "";
	json_decref(row);
}

static void
make(struct request *request, const struct conf *conf,
    const struct conf_destination *destination,
    const struct request_content *content)
{
	switch (destination->dialect) {
	case CONF_TWILIO:
		make_twilio(request, conf, destination, content->body);
		break;
	case CONF_STRIPE:
		make_stripe(request, conf, destination, content);
		break;
	case CONF_WEBHOOK:
	case CONF_SLACK:
	case CONF_SMS_WEBHOOK:
		make_json(request, conf, destination, content);
		break;
	}
	request->http.url = request->url;
	request->http.method = request->method;
	request->http.headers = (const char *const *)request->headers;
	request->http.body =
	    request->body != NULL ? request->body : content->body;
	request->http.body_size = strlen(request->http.body);
	request->http.timeout_ms = destination->timeout_ms;
}

void
request_make(struct request *request, const struct conf *conf,
    const struct conf_destination *destination,
    const struct request_content *content)
{
	memset(request, 0, sizeof(*request));
	make(request, conf, destination, content);
}

void
request_show(struct request *request, const struct conf *conf,
    const struct conf_destination *destination,
    const struct request_content *content)
{
	memset(request, 0, sizeof(*request));
	request->shown = true;
	make(request, conf, destination, content);
}

static void
wipe(char *text)
{
	if (text != NULL)
		mem_wipe(text, strlen(text));
	free(text);
}

void
request_release(struct request *request)
{
	size_t i;

	for (i = 0; i < REQUEST_HEADERS_MAX; i++)
		wipe(request->headers[i]);
	wipe(request->url);
	free(request->method);
	free(request->body);
	memset(request, 0, sizeof(*request));
}
