/* SPDX-License-Identifier: Apache-2.0 */
/* Failures that the TLS handshake explains. curl reports a client certificate that a server
 * refuses in TLS 1.3 as a connection lost while sending or receiving, because the server's verdict
 * arrives after the client's part of the handshake is over. */
#include <string.h>

#include "http_client_internal.h"
#include "tls_internal.h"

static void set_server_failure(struct http_request *request, struct http_result *result)
{
	const struct tls_handshake *handshake = request->handshake;

	switch (handshake->verify_error) {
	case X509_V_OK:
		http_result_set(request, result, HTTP_FAILURE_SERVER_NAME, ERROR_UNAUTHORIZED,
			"the server's certificate is not for %s but for %s", request->host,
			handshake->names);
		return;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		http_result_set(request, result, HTTP_FAILURE_SERVER_EXPIRED, ERROR_UNAUTHORIZED,
			"the server's certificate (or one of its issuers) expired on %s",
			handshake->expiry);
		return;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		http_result_set(request, result, HTTP_FAILURE_SERVER_EXPIRED, ERROR_UNAUTHORIZED,
			"the server's certificate is not valid before %s; is this machine's "
			"clock right?",
			handshake->expiry);
		return;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		http_result_set(request, result, HTTP_FAILURE_SERVER_UNTRUSTED, ERROR_UNAUTHORIZED,
			"the server's certificate is self-signed (\"%s\") and not trusted; put it "
			"into a file that `ca` names",
			handshake->issuer);
		return;
	default:
		http_result_set(request, result, HTTP_FAILURE_SERVER_UNTRUSTED, ERROR_UNAUTHORIZED,
			"the server's certificate is not trusted (%s): put the certificate of its "
			"issuer \"%s\" into a file that `ca` names",
			X509_verify_cert_error_string(handshake->verify_error), handshake->issuer);
	}
}

/* Alerts by which servers refuse a client certificate or the lack of one. TLS 1.2 has no alert for
 * the latter: OpenSSL sends handshake_failure, Go bad_certificate. */
static const char *client_alert(uint8_t alert)
{
	switch (alert) {
	case SSL_AD_HANDSHAKE_FAILURE:
		return "handshake failure";
	case SSL_AD_BAD_CERTIFICATE:
		return "bad certificate";
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
		return "unsupported certificate";
	case SSL_AD_CERTIFICATE_REVOKED:
		return "certificate revoked";
	case SSL_AD_CERTIFICATE_EXPIRED:
		return "certificate expired";
	case SSL_AD_CERTIFICATE_UNKNOWN:
		return "certificate unknown";
	case SSL_AD_UNKNOWN_CA:
		return "unknown authority";
	case SSL_AD_ACCESS_DENIED:
		return "access denied";
	case SSL_AD_CERTIFICATE_REQUIRED:
		return "certificate required";
	default:
		return NULL;
	}
}

static void set_none_sent(struct http_request *request, struct http_result *result,
	enum error_kind kind, const char *event)
{
	const struct tls_handshake *handshake = request->handshake;
	const struct tls_settings *settings = handshake->settings;
	char accepts[200] = "";

	if (handshake->acceptable[0])
		(void)snprintf(
			accepts, sizeof(accepts), " issued by \"%s\"", handshake->acceptable);
	if (settings->n_pairs == 0)
		http_result_set(request, result, HTTP_FAILURE_CLIENT_CERT_REQUIRED, kind,
			"the server wants a client certificate%s, and `client` configures none "
			"(%s)",
			accepts, event);
	else
		http_result_set(request, result, HTTP_FAILURE_CLIENT_CERT_REQUIRED, kind,
			"the server wants a client certificate%s; none was sent, because %s%s is "
			"not one (%s)",
			accepts, settings->pairs[0].cert_path,
			settings->n_pairs > 1 ? " (and the others configured)" : "", event);
}

static void set_refused(struct http_request *request, struct http_result *result, const char *event)
{
	const struct tls_handshake *handshake = request->handshake;
	const struct tls_pair *pair = &handshake->settings->pairs[handshake->offered];

	http_result_set(request, result, HTTP_FAILURE_CLIENT_CERT_REFUSED, ERROR_UNAUTHORIZED,
		"the server refuses the client certificate %s (%s)", pair->cert_path, event);
}

static bool is_lost_connection(CURLcode code)
{
	return code == CURLE_GOT_NOTHING || code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR ||
	       code == CURLE_SSL_CONNECT_ERROR || code == CURLE_HTTP2;
}

static bool set_client_failure(
	struct http_request *request, CURLcode code, struct http_result *result)
{
	const struct tls_handshake *handshake = request->handshake;
	const char *alert = client_alert(handshake->alert);

	if (!handshake->client_cert_requested || request->responded || !is_lost_connection(code))
		return false;
	if (alert && handshake->offered < 0)
		set_none_sent(request, result, ERROR_UNAUTHORIZED, alert);
	else if (alert)
		set_refused(request, result, alert);
	else if (handshake->offered < 0 && !result->reused)
		/* The alert is lost when the server's reset overtakes it. Likely enough to say so,
		 * not enough to give up. */
		set_none_sent(request, result, ERROR_UNAVAILABLE,
			"it closed the connection right after the handshake");
	else
		return false;
	return true;
}

bool http_result_from_handshake(
	struct http_request *request, CURLcode code, struct http_result *result)
{
	const struct tls_handshake *handshake = request->handshake;

	if (!handshake)
		return false;
	if (code == CURLE_PEER_FAILED_VERIFICATION && handshake->of_proxy) {
		http_result_set(request, result, HTTP_FAILURE_PROXY, ERROR_UNAUTHORIZED,
			"the certificate of the https proxy is not accepted: %s",
			request->curl_message);
		return true;
	}
	if (code == CURLE_PEER_FAILED_VERIFICATION) {
		set_server_failure(request, result);
		return true;
	}
	if (handshake->plain_http && code == CURLE_SSL_CONNECT_ERROR) {
		http_result_set(request, result, HTTP_FAILURE_PLAIN_HTTP, ERROR_UNAVAILABLE,
			"the server speaks plain HTTP, not TLS");
		return true;
	}
	return set_client_failure(request, code, result);
}
