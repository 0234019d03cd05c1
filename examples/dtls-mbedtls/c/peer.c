#include "peer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "mbedtls/ssl.h"
#include "mbedtls/ssl_cookie.h"

struct cookies {
    mbedtls_ssl_cookie_ctx context;
};

struct outgoing {
    struct outgoing *next;
    size_t len;
    uint8_t bytes[];
};

struct peer {
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config config;
    const uint8_t *incoming;
    size_t incoming_len;
    struct outgoing *first, **last;
    /* The timer: when it was set, and after how long its two moments are. */
    uint64_t now, set_at;
    uint32_t intermediate, final;
    uint8_t key[16];
};

static int randomness(void *nothing, unsigned char *out, size_t len)
{
    (void) nothing;
    return getrandom(out, len, 0) == (ssize_t) len ? 0 : -1;
}

struct cookies *cookies_new(void)
{
    struct cookies *it = malloc(sizeof *it);
    if (it == NULL)
        return NULL;
    mbedtls_ssl_cookie_init(&it->context);
    if (mbedtls_ssl_cookie_setup(&it->context, randomness, NULL) != 0) {
        cookies_free(it);
        return NULL;
    }
    return it;
}

void cookies_free(struct cookies *it)
{
    if (it == NULL)
        return;
    mbedtls_ssl_cookie_free(&it->context);
    free(it);
}

static int send_datagram(void *to, const unsigned char *bytes, size_t len)
{
    struct peer *it = to;
    struct outgoing *out = malloc(sizeof *out + len);
    if (out == NULL)
        return MBEDTLS_ERR_SSL_ALLOC_FAILED;
    out->next = NULL;
    out->len = len;
    memcpy(out->bytes, bytes, len);
    *it->last = out;
    it->last = &out->next;
    return (int) len;
}

static int receive_datagram(void *from, unsigned char *bytes, size_t room)
{
    struct peer *it = from;
    size_t len = it->incoming_len;
    if (len == 0)
        return MBEDTLS_ERR_SSL_WANT_READ;
    /* As with a socket, what has no room is lost. */
    if (len > room)
        len = room;
    memcpy(bytes, it->incoming, len);
    it->incoming_len = 0;
    return (int) len;
}

static void set_timer(void *of, uint32_t intermediate, uint32_t final)
{
    struct peer *it = of;
    it->set_at = it->now;
    it->intermediate = intermediate;
    it->final = final;
}

static int get_timer(void *of)
{
    const struct peer *it = of;
    if (it->final == 0)
        return -1;
    if (it->now >= it->set_at + it->final)
        return 2;
    return it->now >= it->set_at + it->intermediate ? 1 : 0;
}

/* Whoever it is: that the key is that of this identity, the caller saw to. */
static int give_key(void *of, mbedtls_ssl_context *ssl, const unsigned char *identity, size_t len)
{
    const struct peer *it = of;
    (void) identity;
    (void) len;
    return mbedtls_ssl_set_hs_psk(ssl, it->key, sizeof it->key);
}

static int set_up(struct peer *it, struct cookies *cookies, const int *suites, const uint8_t *id, int id_len)
{
    mbedtls_ssl_config *config = &it->config;
    int role = cookies ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT;
    int failed = mbedtls_ssl_config_defaults(config, role, MBEDTLS_SSL_TRANSPORT_DATAGRAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (failed)
        return failed;
    mbedtls_ssl_conf_rng(config, randomness, NULL);
    mbedtls_ssl_conf_ciphersuites(config, suites);
    if (cookies) {
        mbedtls_ssl_conf_dtls_cookies(config, mbedtls_ssl_cookie_write, mbedtls_ssl_cookie_check, &cookies->context);
        mbedtls_ssl_conf_psk_cb(config, give_key, it);
    }
    if (id_len >= 0 && (failed = mbedtls_ssl_conf_cid(config, (size_t) id_len, MBEDTLS_SSL_UNEXPECTED_CID_IGNORE)))
        return failed;
    if ((failed = mbedtls_ssl_setup(&it->ssl, config)))
        return failed;
    if (id_len >= 0 && (failed = mbedtls_ssl_set_cid(&it->ssl, MBEDTLS_SSL_CID_ENABLED, id, (size_t) id_len)))
        return failed;
    mbedtls_ssl_set_bio(&it->ssl, it, send_datagram, receive_datagram, NULL);
    mbedtls_ssl_set_timer_cb(&it->ssl, it, set_timer, get_timer);
    return 0;
}

struct peer *peer_new(struct cookies *cookies, const int *suites, const uint8_t *id, int id_len)
{
    struct peer *it = calloc(1, sizeof *it);
    if (it == NULL)
        return NULL;
    it->last = &it->first;
    mbedtls_ssl_init(&it->ssl);
    mbedtls_ssl_config_init(&it->config);
    if (set_up(it, cookies, suites, id, id_len) != 0) {
        peer_free(it);
        return NULL;
    }
    return it;
}

void peer_free(struct peer *it)
{
    if (it == NULL)
        return;
    while (it->first != NULL) {
        struct outgoing *out = it->first;
        it->first = out->next;
        free(out);
    }
    mbedtls_ssl_free(&it->ssl);
    mbedtls_ssl_config_free(&it->config);
    memset(it->key, 0, sizeof it->key);
    free(it);
}

int peer_identity(struct peer *it, const uint8_t *identity, size_t len, const uint8_t key[16])
{
    return mbedtls_ssl_conf_psk(&it->config, key, 16, identity, len);
}

int peer_transport_id(struct peer *it, const uint8_t *id, size_t len)
{
    return mbedtls_ssl_set_client_transport_id(&it->ssl, id, len);
}

void peer_key(struct peer *it, const uint8_t key[16])
{
    memcpy(it->key, key, sizeof it->key);
}

void peer_now(struct peer *it, uint64_t now)
{
    it->now = now;
}

uint64_t peer_deadline(const struct peer *it)
{
    return it->final == 0 ? UINT64_MAX : it->set_at + it->final;
}

void peer_put(struct peer *it, const uint8_t *datagram, size_t len)
{
    it->incoming = datagram;
    it->incoming_len = len;
}

size_t peer_take(struct peer *it, uint8_t *datagram, size_t room)
{
    struct outgoing *out = it->first;
    if (out == NULL || out->len > room)
        return 0;
    size_t len = out->len;
    memcpy(datagram, out->bytes, len);
    it->first = out->next;
    if (it->first == NULL)
        it->last = &it->first;
    free(out);
    return len;
}

static int outcome(int result)
{
    switch (result) {
    case 0:
        return PEER_DONE;
    case MBEDTLS_ERR_SSL_WANT_READ:
    case MBEDTLS_ERR_SSL_WANT_WRITE:
        return PEER_WAITS;
    case MBEDTLS_ERR_SSL_HELLO_VERIFY_REQUIRED:
        return PEER_HELLO_VERIFY;
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        return PEER_CLOSED;
    default:
        return PEER_FAILED;
    }
}

int peer_handshake(struct peer *it)
{
    return outcome(mbedtls_ssl_handshake(&it->ssl));
}

int peer_read(struct peer *it, uint8_t *data, size_t room, size_t *len)
{
    int result = mbedtls_ssl_read(&it->ssl, data, room);
    *len = result > 0 ? (size_t) result : 0;
    return outcome(result > 0 ? 0 : result);
}

int peer_write(struct peer *it, const uint8_t *data, size_t len)
{
    int result = mbedtls_ssl_write(&it->ssl, data, len);
    return result == (int) len ? PEER_DONE : PEER_FAILED;
}

void peer_close(struct peer *it)
{
    (void) mbedtls_ssl_close_notify(&it->ssl);
}
