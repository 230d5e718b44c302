/* Which Ethernet address an IPv4 address of this network has. */
#pragma once

#include "types.h"

/* Says to everybody whose address this is, so that nobody keeps an older owner's. */
void arp_announce(void);
/* False when it is not known yet; then the question has been sent. */
bool arp_find(u32 ip, u8 address[6]);
void arp_receive(const u8 *packet, u32 length);
