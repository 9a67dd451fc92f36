/*
 * hash.h - a number whose every bit depends on every bit of another one.
 *
 * Thread: any.
 */
#ifndef RMSD_BASE_HASH_H
#define RMSD_BASE_HASH_H

#include <stdint.h>

/* splitmix64's finisher. */
static inline uint64_t hash_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

#endif
