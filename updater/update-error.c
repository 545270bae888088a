/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/update-error.h"

#include <stddef.h>

#include "common/cleanup.h"

static const struct {
    UpdateError error;
    const char *text;
} error_texts[] = {
        {UPDATE_OK, "no error"},
        {UPDATE_ERROR_GENERIC, "the machine cannot do it"},
        {UPDATE_ERROR_OMAHA_REQUEST, "the update server was not reached"},
        {UPDATE_ERROR_VERIFIER_IO, "the slot cannot be read back"},
        {UPDATE_ERROR_POSTINST, "the new system's postinst failed"},
        {UPDATE_ERROR_OPEN_TARGET, "no slot to install to"},
        {UPDATE_ERROR_TRANSFER, "the download failed"},
        {UPDATE_ERROR_PAYLOAD_HASH, "the payload is not the one that the server offered"},
        {UPDATE_ERROR_PAYLOAD_SIZE, "the payload has not the size that was offered"},
        {UPDATE_ERROR_NO_PARTITION_INFO, "the payload does not say what the slot must hold"},
        {UPDATE_ERROR_WRITE, "the slot cannot be written"},
        {UPDATE_ERROR_PARTITION_HASH, "the slot does not hold what the payload says"},
        {UPDATE_ERROR_KERNEL_HASH, "the kernel is not what the payload says"},
        {UPDATE_ERROR_NO_SIGNATURE, "the payload is not signed"},
        {UPDATE_ERROR_SIGNATURE, "the payload's signature does not verify"},
        {UPDATE_ERROR_SOURCE, "the running slot is not what the delta begins with"},
        {UPDATE_ERROR_POSTINST_FIRMWARE, "the new system's postinst wants another firmware"},
        {UPDATE_ERROR_MAGIC, "this is not a payload"},
        {UPDATE_ERROR_MANIFEST, "the payload's manifest is not usable"},
        {UPDATE_ERROR_METADATA_SIGNATURE, "the payload's metadata signature does not verify"},
        {UPDATE_ERROR_OPERATION, "an operation of the payload is not consistent"},
        {UPDATE_ERROR_OPERATION_HASH, "a part of the payload is damaged"},
        {UPDATE_ERROR_EMPTY_RESPONSE, "the update server's answer is empty"},
        {UPDATE_ERROR_XML, "the update server's answer is not XML"},
        {UPDATE_ERROR_METADATA_SIZE, "the payload's metadata has an absurd size"},
        {UPDATE_ERROR_RESPONSE, "the update server's answer is not usable"},
        {UPDATE_ERROR_BUDGET, "the download costs more than its budget"},
        {UPDATE_ERROR_BACKOFF, "waiting after failed attempts"},
        {UPDATE_ERROR_POLICY_HASH, "the PCR policy is not what the payload says"},
        {UPDATE_ERROR_POLICY_POST, "the PCR policy server did not take the new policy"},
        {UPDATE_ERROR_ROLLED_BACK, "the update did not boot"},
        {UPDATE_ERROR_VERSION_REFUSED, "the payload is for another product or format"},
        {UPDATE_ERROR_ENTITY, "the update server's answer declares entities"},
        {UPDATE_ERROR_CANCELLED, "cancelled"},
        {UPDATE_ERROR_DOWNGRADE, "the payload's version is not allowed here"},
        {UPDATE_ERROR_FLIP, "the partition table cannot be written"},
        {UPDATE_ERROR_VERITY, "the verity tree cannot be built"},
};

const char *update_error_text(UpdateError error)
{
    if (error > UPDATE_ERROR_HTTP_BASE)
        return "the update server answered with an HTTP error";
    for (size_t i = 0; i < ELEMENTS(error_texts); i++)
        if (error_texts[i].error == error)
            return error_texts[i].text;
    return "unknown error";
}
