/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/boot-choice.h"

#define PRIORITY_SHIFT 48
#define TRIES_SHIFT 52
#define SUCCESSFUL_SHIFT 56
#define STARTS_SHIFT 57
#define NIBBLE UINT64_C(15)

BootBits boot_bits_get(uint64_t attributes)
{
    return (BootBits){
            .priority = attributes >> PRIORITY_SHIFT & NIBBLE,
            .tries = attributes >> TRIES_SHIFT & NIBBLE,
            .successful = attributes >> SUCCESSFUL_SHIFT & 1,
            .starts = attributes >> STARTS_SHIFT & NIBBLE,
    };
}

uint64_t boot_bits_put(uint64_t attributes, BootBits bits)
{
    attributes &= ~(NIBBLE << PRIORITY_SHIFT | NIBBLE << TRIES_SHIFT |
                    UINT64_C(1) << SUCCESSFUL_SHIFT | NIBBLE << STARTS_SHIFT);
    return attributes | (bits.priority & NIBBLE) << PRIORITY_SHIFT |
           (bits.tries & NIBBLE) << TRIES_SHIFT | (uint64_t)bits.successful << SUCCESSFUL_SHIFT |
           (bits.starts & NIBBLE) << STARTS_SHIFT;
}

static bool is_usable(BootBits bits)
{
    return bits.priority > 0 && (bits.tries > 0 || bits.successful);
}

/* Whether a, a later one of the table, boots rather than b; both are usable. */
static bool is_better(BootBits a, BootBits b)
{
    bool has_a_enough = a.starts >= SLOT_STARTS_ENOUGH,
         has_b_enough = b.starts >= SLOT_STARTS_ENOUGH;
    if (has_a_enough != has_b_enough)
        return has_b_enough;
    if (has_a_enough && a.starts != b.starts)
        return a.starts < b.starts;
    return a.priority > b.priority;
}

size_t boot_choice_next(const BootBits *slots, size_t n_slots)
{
    size_t best = SLOT_NONE;
    for (size_t i = 0; i < n_slots; i++)
        if (is_usable(slots[i]) && (best == SLOT_NONE || is_better(slots[i], slots[best])))
            best = i;
    return best;
}

void boot_choice_spend(BootBits *slots, size_t n_slots, size_t chosen)
{
    if (slots[chosen].tries > 0) {
        slots[chosen].tries--;
        return;
    }
    if (slots[chosen].starts >= SLOT_STARTS_MAX)
        for (size_t i = 0; i < n_slots; i++)
            slots[i].starts = 0;
    slots[chosen].starts++;
}

void boot_choice_invalidate(BootBits *slots, size_t slot)
{
    slots[slot] = (BootBits){0};
}

void boot_choice_mark_good(BootBits *slots, size_t slot)
{
    slots[slot].successful = true;
    slots[slot].tries = 0;
    slots[slot].starts = 0;
    if (slots[slot].priority == 0)
        slots[slot].priority = 1;
}

static unsigned highest_of_others(const BootBits *slots, size_t n_slots, size_t slot)
{
    unsigned highest = 0;
    for (size_t i = 0; i < n_slots; i++)
        if (i != slot && slots[i].priority > highest)
            highest = slots[i].priority;
    return highest;
}

/* The priorities that the others have, closed up from 1; the highest stays free for the slot. */
static void renumber_others(BootBits *slots, size_t n_slots, size_t slot)
{
    unsigned renumbered[SLOT_PRIORITY_MAX + 1] = {0};
    for (size_t i = 0; i < n_slots; i++)
        if (i != slot)
            renumbered[slots[i].priority] = 1;

    unsigned rank = 0;
    for (unsigned p = 1; p <= SLOT_PRIORITY_MAX; p++)
        if (renumbered[p])
            renumbered[p] = ++rank;
    unsigned excess = rank == SLOT_PRIORITY_MAX ? 1 : 0;
    for (size_t i = 0; i < n_slots; i++) {
        unsigned p = slots[i].priority;
        if (i != slot && p > 0)
            slots[i].priority = renumbered[p] > excess ? renumbered[p] - excess : 1;
    }
}

static void raise_above_others(BootBits *slots, size_t n_slots, size_t slot)
{
    unsigned highest = highest_of_others(slots, n_slots, slot);
    if (slots[slot].priority > highest)
        return;
    if (highest == SLOT_PRIORITY_MAX) {
        renumber_others(slots, n_slots, slot);
        highest = highest_of_others(slots, n_slots, slot);
    }
    slots[slot].priority = highest + 1;
}

void boot_choice_prioritize(BootBits *slots, size_t n_slots, size_t slot, unsigned tries)
{
    raise_above_others(slots, n_slots, slot);
    slots[slot].starts = 0;
    if (!slots[slot].successful)
        slots[slot].tries = tries;
}

void boot_choice_flip(BootBits *slots, size_t n_slots, size_t slot, unsigned tries)
{
    raise_above_others(slots, n_slots, slot);
    slots[slot].tries = tries;
    slots[slot].successful = false;
    slots[slot].starts = 0;
}
