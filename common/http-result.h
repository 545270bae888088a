/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <curl/curl.h>

#include "common/http-client.h"

/* What libcurl's verdict on a transfer means to the one who asked for it. */
HttpResult http_result_of(CURLcode code);
