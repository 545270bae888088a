/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which slot boots, and what the changes of its bits mean: the rules of DESIGN.md section 3, which
 * are those of GRUB's gptprio.next, and one more: a slot that was good and no longer comes up must
 * not be started for ever. So the starts of a successful slot are counted, too, until somebody
 * declares it good again. Pure; the boot chooser is made of the same code.
 *
 * Everywhere slots are those of one disk in table order. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLOT_PRIORITY_MAX 15
#define SLOT_TRIES_MAX 15
#define SLOT_STARTS_MAX 15
#define SLOT_STARTS_ENOUGH 4 /* so often without a word, and another slot gets its chance */
#define SLOT_NONE SIZE_MAX

typedef struct {
    unsigned priority; /* 0-15; 0 means: never boot */
    unsigned tries;    /* 0-15 */
    bool successful;
    unsigned starts; /* 0-15; of a successful slot, since it was last declared good */
} BootBits;

/* GPT attributes 48-51, 52-55, 56, and 57-60 for the starts, where ChromeOS counts errors; every
 * other bit of `attributes` stays. */
BootBits boot_bits_get(uint64_t attributes);
uint64_t boot_bits_put(uint64_t attributes, BootBits bits);

/* The usable slot (priority above 0, and tries above 0 or successful) of the highest priority, the
 * first of several; SLOT_NONE. One of SLOT_STARTS_ENOUGH starts is passed over while another usable
 * one has fewer than that; where all have as many, the fewest starts count before the priority. */
size_t boot_choice_next(const BootBits *slots, size_t n_slots);

/* What a boot loader does to the slot that it chose: a try less, where it has one, else a start
 * more. Where the count is full, all slots' begin anew. */
void boot_choice_spend(BootBits *slots, size_t n_slots, size_t chosen);

/* Everything zero. */
void boot_choice_invalidate(BootBits *slots, size_t slot);

/* successful, no tries, no starts; priority 0 becomes 1. */
void boot_choice_mark_good(BootBits *slots, size_t slot);

/* The slot's priority above all others'. Where the highest is taken, the others are numbered anew
 * from 1 in their order, ties kept and nothing raised to life or lowered to 0; with all fifteen
 * taken the two lowest become a tie. successful stays; tries is set where it is not successful;
 * its starts are forgotten. */
void boot_choice_prioritize(BootBits *slots, size_t n_slots, size_t slot, unsigned tries);

/* The flip: priority above all others, tries = tries, not successful, no starts. */
void boot_choice_flip(BootBits *slots, size_t n_slots, size_t slot, unsigned tries);
