/* SPDX-License-Identifier: Apache-2.0 */
#include "common/http-result.h"

/* libcurl-errors(3). Not in the list: the answer broke off or made no sense. */
HttpResult http_result_of(CURLcode code)
{
    static const struct {
        CURLcode code;
        HttpResult result;
    } results[] = {
            {CURLE_OK, HTTP_DONE}, {CURLE_URL_MALFORMAT, HTTP_BAD_URL},
            {CURLE_COULDNT_RESOLVE_PROXY, HTTP_NO_CONNECTION},
            {CURLE_COULDNT_RESOLVE_HOST, HTTP_NO_CONNECTION},
            {CURLE_COULDNT_CONNECT, HTTP_NO_CONNECTION}, {CURLE_PROXY, HTTP_NO_CONNECTION},
            {CURLE_INTERFACE_FAILED, HTTP_NO_CONNECTION},
            {CURLE_SSL_CONNECT_ERROR, HTTP_NO_CONNECTION},
            {CURLE_SSL_CERTPROBLEM, HTTP_NO_CONNECTION}, {CURLE_SSL_CIPHER, HTTP_NO_CONNECTION},
            {CURLE_SSL_CACERT_BADFILE, HTTP_NO_CONNECTION},
            {CURLE_SSL_ISSUER_ERROR, HTTP_NO_CONNECTION},
            {CURLE_SSL_ENGINE_INITFAILED, HTTP_NO_CONNECTION},
            {CURLE_PEER_FAILED_VERIFICATION, HTTP_NO_CONNECTION},
            {CURLE_OPERATION_TIMEDOUT, HTTP_TIMED_OUT}, {CURLE_OUT_OF_MEMORY, HTTP_NO_MEMORY},
            {CURLE_ABORTED_BY_CALLBACK, HTTP_NO_MEMORY}, /* ours fail for nothing else */
    };
    for (size_t i = 0; i < ELEMENTS(results); i++)
        if (results[i].code == code)
            return results[i].result;
    return HTTP_CUT;
}
