/* The network card: whole Ethernet frames. */
#pragma once

#include "virtio.h"

enum { FRAME_LIMIT = 1514, ETHERNET_HEADER = 14, ETHERNET_IPV4 = 0x0800, ETHERNET_ARP = 0x0806 };

/* False when the guest has no card. */
bool nic_start(const struct virtio_place *places, u32 count);
const u8 *nic_address(void);

/* Hands what has arrived to `receive`, up to a queue full. */
void nic_poll(void (*receive)(const u8 *frame, u32 length));

/* A frame to fill in behind its Ethernet header, or NULL when the card does not keep up: a lost packet, then. */
u8 *nic_frame(const u8 to[6], u16 kind);
/* Sends the frame that nic_frame gave last; the length counts the header. */
void nic_send(u32 length);
/* Tells the card of all that was queued since the last time. */
void nic_flush(void);

bool nic_waiting(void);
void nic_interrupts(bool wanted);
