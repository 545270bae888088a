/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The elements of a small XML document from somebody who may be hostile, one after the other as
 * they begin and end. UTF-8 alone, whatever is declared; no document type and so no entities but
 * the five of XML; no network, no tree in memory; size, depth and attributes bounded. Pure. */

#include <stdbool.h>
#include <stddef.h>

#include "common/error-text.h"
#include "updater/update-error.h"

#define OMAHA_XML_DEPTH_MAX 32

/* The attributes of an element that begins; valid inside on_start. */
typedef struct XmlAttributes XmlAttributes;

typedef struct {
    /* An element begins at depth (the root's is 0). name is borrowed, without a prefix; an element
     * that has a prefix is called "". false ends the reading with UPDATE_ERROR_GENERIC. */
    bool (*on_start)(
            unsigned depth, const char *name, const XmlAttributes *attributes, void *userdata);
    /* The element that began last at this depth ends. */
    void (*on_end)(unsigned depth, void *userdata);
} XmlHandlers;

/* Reads n_bytes at data (borrowed). What the handlers were told counts only when it returns
 * UPDATE_OK. Others, with `error`: UPDATE_ERROR_EMPTY_RESPONSE (nothing, or blanks);
 * UPDATE_ERROR_RESPONSE (more than max_bytes); UPDATE_ERROR_ENTITY (a document type or an entity
 * declaration, even in a comment); UPDATE_ERROR_XML (everything else that is wrong with it);
 * UPDATE_ERROR_GENERIC (memory). */
UpdateError omaha_xml_read(const char *data, size_t n_bytes, size_t max_bytes,
        const XmlHandlers *handlers, void *userdata, ErrorText *error);

/* A new copy of the value of the attribute name (without a prefix), with the escapes resolved;
 * *ret_value is NULL when there is none. Errors: -ENOMEM. */
int xml_attribute_copy(const XmlAttributes *attributes, const char *name, char **ret_value);
