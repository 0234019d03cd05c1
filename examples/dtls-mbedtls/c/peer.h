/* One connection of Mbed TLS whose datagrams and time are in the caller's hands. src/ffi.rs declares the same. */
#include <stddef.h>
#include <stdint.h>

/* What a step came to. */
enum { PEER_DONE = 0, PEER_WAITS = 1, PEER_HELLO_VERIFY = 2, PEER_CLOSED = 3, PEER_FAILED = 4 };

struct cookies;
struct peer;

/* The key of the cookies of all servers. Null without memory or randomness. */
struct cookies *cookies_new(void);
void cookies_free(struct cookies *);

/* A server when there are `cookies`, which outlive it, otherwise a client. `suites` ends with 0 and outlives it. With an
 * `id_len` of less than 0 connection ids are neither offered nor taken. Null without memory or randomness. */
struct peer *peer_new(struct cookies *cookies, const int *suites, const uint8_t *id, int id_len);
void peer_free(struct peer *);

/* The name of a client, or of whom a server talks to for its cookie. 0 when it was taken. */
int peer_identity(struct peer *, const uint8_t *identity, size_t len, const uint8_t key[16]);
int peer_transport_id(struct peer *, const uint8_t *id, size_t len);
/* The key of whoever a server's client says that it is. */
void peer_key(struct peer *, const uint8_t key[16]);

/* The time from now on, in milliseconds, and when the next retransmission is due; UINT64_MAX: none is. */
void peer_now(struct peer *, uint64_t now);
uint64_t peer_deadline(const struct peer *);

/* Lays down the datagram that is read next, which has to stay until it is taken away with a length of 0. */
void peer_put(struct peer *, const uint8_t *datagram, size_t len);
/* Takes the next datagram to send: its length, or 0 when there is none or no room. */
size_t peer_take(struct peer *, uint8_t *datagram, size_t room);

int peer_handshake(struct peer *);
/* PEER_DONE: `len` bytes were read. */
int peer_read(struct peer *, uint8_t *data, size_t room, size_t *len);
int peer_write(struct peer *, const uint8_t *data, size_t len);
void peer_close(struct peer *);
