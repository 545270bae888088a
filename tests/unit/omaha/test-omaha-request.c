/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/omaha/omaha-request.h"

#include <libxml/parser.h>
#include <string.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"

static const OmahaIdentity identity_plain = {
        .app_id = "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}",
        .version = "3510.2.1",
        .track = "stable",
        .boot_id = "965fb4c5-ad3e-4eb7-a4c2-ca0c0e31ec84",
        .oem = "azure",
        .oem_version = "2.9.1",
        .aleph_version = "3033.2.0",
        .machine_id = "abce671d61774703ac7be60715220bfe",
        .machine_alias = "",
        .board = "amd64-usr",
        .architecture = "x86_64",
};

#define HEAD(source, machine_alias)                                                      \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                                       \
    "<request protocol=\"3.0\" version=\"update_engine-0.4.10\""                         \
    " updaterversion=\"flipside-" FLIPSIDE_VERSION "\" installsource=\"" source          \
    "\" ismachine=\"1\">\n"                                                              \
    "    <os version=\"Chateau\" platform=\"CoreOS\" sp=\"3510.2.1_x86_64\"></os>\n"     \
    "    <app appid=\"{e96281a6-d1af-4bde-9a0a-97b76e56dc57}\" version=\"3510.2.1\""     \
    " track=\"stable\" bootid=\"{965fb4c5-ad3e-4eb7-a4c2-ca0c0e31ec84}\" oem=\"azure\""  \
    " oemversion=\"2.9.1\" alephversion=\"3033.2.0\""                                    \
    " machineid=\"abce671d61774703ac7be60715220bfe\" machinealias=\"" machine_alias "\"" \
    " lang=\"en-US\" board=\"amd64-usr\" hardware_class=\"\" delta_okay=\"false\">\n"
#define PING "        <ping active=\"1\"></ping>\n"
#define CHECK "        <updatecheck></updatecheck>\n"
#define TAIL "    </app>\n</request>\n"

START_TEST(check_in_steady_state)
{
    _cleanup_free_ char *xml = NULL;
    ck_assert_int_eq(omaha_request_check(&identity_plain, NULL, 0, &xml), 0);
    ck_assert_str_eq(xml, HEAD("scheduler", "") PING CHECK
            "        <event eventtype=\"3\" eventresult=\"2\" previousversion=\"\"></event>\n" TAIL);
}
END_TEST

START_TEST(check_with_events_by_a_person)
{
    OmahaIdentity identity = identity_plain;
    identity.is_interactive = true;
    const OmahaEvent events[] = {
            {.type = OMAHA_EVENT_UPDATE_COMPLETE,
                    .result = OMAHA_RESULT_SUCCESS_REBOOT,
                    .error_code = 5,
                    .previous_version = "3033.2.0"},
            {.type = OMAHA_EVENT_UPDATE_COMPLETE, .result = OMAHA_RESULT_ERROR, .error_code = 44},
    };
    _cleanup_free_ char *xml = NULL;
    ck_assert_int_eq(omaha_request_check(&identity, events, 2, &xml), 0);
    ck_assert_str_eq(xml, HEAD("ondemandupdate", "") PING CHECK
            "        <event eventtype=\"3\" eventresult=\"2\" previousversion=\"3033.2.0\"></event>\n"
            "        <event eventtype=\"3\" eventresult=\"0\" errorcode=\"44\"></event>\n" TAIL);
}
END_TEST

START_TEST(events_alone)
{
    const OmahaEvent events[] = {
            {.type = OMAHA_EVENT_DOWNLOAD_STARTED, .result = OMAHA_RESULT_SUCCESS},
            {.type = OMAHA_EVENT_DOWNLOAD_FINISHED, .result = OMAHA_RESULT_SUCCESS},
            {.type = OMAHA_EVENT_UPDATE_COMPLETE, .result = OMAHA_RESULT_SUCCESS},
            {.type = OMAHA_EVENT_UPDATE_COMPLETE,
                    .result = OMAHA_RESULT_DEFERRED,
                    .error_code = 4294967295U},
    };
    _cleanup_free_ char *xml = NULL;
    ck_assert_int_eq(omaha_request_events(&identity_plain, events, 4, &xml), 0);
    ck_assert_str_eq(xml,
            HEAD("scheduler",
                    "") "        <event eventtype=\"13\" eventresult=\"1\"></event>\n"
                        "        <event eventtype=\"14\" eventresult=\"1\"></event>\n"
                        "        <event eventtype=\"3\" eventresult=\"1\"></event>\n"
                        "        <event eventtype=\"3\" eventresult=\"9\" errorcode=\"4294967295\"></event>\n" TAIL);
}
END_TEST

/* The names and values of an element's attributes, in their order. */
static void write_attributes(FILE *out, const xmlNode *element)
{
    fprintf(out, "%s:", element->name);
    for (const xmlAttr *attribute = element->properties; attribute; attribute = attribute->next) {
        bool is_left_out = strcmp((const char *)attribute->name, "updaterversion") == 0 ||
                           !attribute->children;
        fprintf(out, " %s=\"%s\"", attribute->name,
                is_left_out ? "" : (const char *)attribute->children->content);
    }
    fputc('\n', out);
}

/* A request's elements in their order, without the events of a check: those that were recorded
 * had none. What stands for the program's name is left out. *ret_app is inside document. */
static char *shape_of(const xmlDoc *document, xmlNode **ret_app)
{
    char *text = NULL;
    size_t n_bytes;
    FILE *out = open_memstream(&text, &n_bytes);
    xmlNode *request = xmlDocGetRootElement(document);
    write_attributes(out, request);
    for (xmlNode *child = xmlFirstElementChild(request); child; child = child->next)
        if (child->type == XML_ELEMENT_NODE)
            write_attributes(out, child);
    xmlNode *app = xmlLastElementChild(request);
    bool is_check = false;
    for (xmlNode *child = xmlFirstElementChild(app); child; child = child->next) {
        if (child->type != XML_ELEMENT_NODE)
            continue;
        is_check |= strcmp((const char *)child->name, "updatecheck") == 0;
        if (!is_check || strcmp((const char *)child->name, "event") != 0)
            write_attributes(out, child);
    }
    fclose(out);
    if (ret_app)
        *ret_app = app;
    return text;
}

static const char *value_of(const xmlNode *element, const char *name)
{
    xmlAttr *attribute = xmlHasProp(element, (const xmlChar *)name);
    ck_assert_ptr_nonnull(attribute);
    return attribute->children ? (const char *)attribute->children->content : "";
}

static const char *const recorded[] = {"chromiumos-update", "nebraska-event", "nebraska-noupdate",
        "nebraska-rate-limit", "nebraska-unknown-app", "nebraska-update",
        "nebraska-updates-disabled"};

/* What servers have taken is, but for the program's name, what we send for the same machine. */
START_TEST(recorded_requests_are_ours)
{
    char below[64];
    snprintf(below, sizeof(below), "recorded/%s.request.xml", recorded[_i]);
    xmlDoc *theirs = xmlReadFile(unit_data_path(below), NULL, XML_PARSE_NONET);
    ck_assert_ptr_nonnull(theirs);
    xmlNode *app;
    _cleanup_free_ char *their_shape = shape_of(theirs, &app);
    _cleanup_free_ char *boot_id = strdup(value_of(app, "bootid") + 1);
    boot_id[strcspn(boot_id, "}")] = '\0';
    OmahaIdentity identity = {
            .app_id = value_of(app, "appid"),
            .version = value_of(app, "version"),
            .track = value_of(app, "track"),
            .boot_id = boot_id,
            .oem = value_of(app, "oem"),
            .oem_version = value_of(app, "oemversion"),
            .aleph_version = value_of(app, "alephversion"),
            .machine_id = value_of(app, "machineid"),
            .machine_alias = value_of(app, "machinealias"),
            .board = value_of(app, "board"),
            .architecture = "x86_64",
    };
    OmahaEvent event = {.type = OMAHA_EVENT_DOWNLOAD_STARTED, .result = OMAHA_RESULT_SUCCESS};
    bool is_report = strcmp(recorded[_i], "nebraska-event") == 0;
    _cleanup_free_ char *xml = NULL;
    ck_assert_int_eq(is_report ? omaha_request_events(&identity, &event, 1, &xml)
                               : omaha_request_check(&identity, NULL, 0, &xml),
            0);
    xmlDoc *ours = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL, XML_PARSE_NONET);
    _cleanup_free_ char *our_shape = shape_of(ours, NULL);
    ck_assert_str_eq(our_shape, their_shape);
    xmlFreeDoc(ours);
    xmlFreeDoc(theirs);
}
END_TEST

static char *request_with_alias(const char *alias)
{
    OmahaIdentity identity = identity_plain;
    identity.machine_alias = alias;
    char *xml;
    ck_assert_int_eq(omaha_request_events(&identity, NULL, 0, &xml), 0);
    return xml;
}

/* update_engine leaves '"' as it is, so that an alias could add attributes. */
START_TEST(a_quote_does_not_end_the_attribute)
{
    _cleanup_free_ char *xml = request_with_alias("rack \"7\" machineid=\"x\" <&>' \t\r\n.");
    ck_assert_str_eq(xml,
            HEAD("scheduler",
                    "rack &quot;7&quot; machineid=&quot;x&quot; &lt;&amp;&gt;' &#9;&#13;&#10;.")
                    TAIL);
}
END_TEST

START_TEST(what_xml_cannot_carry_is_replaced)
{
    static const struct {
        const char *alias, *sent;
    } cases[] = {
            {"\x01\x1f\x1b[31m", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd[31m"},
            {"K\xc3\xa4se \xe2\x82\xac \xf0\x9f\x98\x80",
                    "K\xc3\xa4se \xe2\x82\xac \xf0\x9f\x98\x80"},
            {"K\xe4se", "K\xef\xbf\xbdse"},           /* Latin-1 */
            {"\xff\x80", "\xef\xbf\xbd\xef\xbf\xbd"}, /* never in UTF-8 */
            {"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"}, /* cut */
            {"\xc0\xbc", "\xef\xbf\xbd\xef\xbf\xbd"}, /* '<', overlong */
            {"\xed\xa0\x80", "\xef\xbf\xbd"},         /* a surrogate */
            {"\xef\xbf\xbe", "\xef\xbf\xbd"},         /* U+FFFE */
            {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        _cleanup_free_ char *xml = request_with_alias(cases[i].alias);
        _cleanup_free_ char *expected = NULL;
        ck_assert_int_gt(asprintf(&expected, " machinealias=\"%s\" ", cases[i].sent), 0);
        ck_assert_msg(strstr(xml, expected) != NULL, "case %zu: %s", i, xml);
    }
}
END_TEST

/* The second opinion: libxml2 reads back what went in. */
START_TEST(every_character_comes_back)
{
    char alias[128];
    size_t n = 0;
    for (char c = ' '; c <= '~'; c++)
        alias[n++] = c;
    memcpy(alias + n, "\t\r\n\xc3\xa4", 6);
    _cleanup_free_ char *xml = request_with_alias(alias);
    xmlDoc *document = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL, XML_PARSE_NONET);
    ck_assert_ptr_nonnull(document);
    xmlNode *app = xmlLastElementChild(xmlDocGetRootElement(document));
    xmlChar *read = xmlGetProp(app, (const xmlChar *)"machinealias");
    ck_assert_str_eq((const char *)read, alias);
    xmlFree(read);
    xmlFreeDoc(document);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("omaha-request");
    TCase *tcase = unit_case(suite, "omaha-request");
    tcase_add_test(tcase, check_in_steady_state);
    tcase_add_test(tcase, check_with_events_by_a_person);
    tcase_add_test(tcase, events_alone);
    tcase_add_loop_test(tcase, recorded_requests_are_ours, 0, ELEMENTS(recorded));
    tcase_add_test(tcase, a_quote_does_not_end_the_attribute);
    tcase_add_test(tcase, what_xml_cannot_carry_is_replaced);
    tcase_add_test(tcase, every_character_comes_back);
    return suite;
}
