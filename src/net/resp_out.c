/* The parts of resp_out.h that are too long, or too rare, to be inline. */
#include "net/resp_out.h"

void resp_out_blob(struct blob *blob) {
    resp_out_header('$', (int64_t)blob->len);
    conn_write_blob(blob);
    conn_write("\r\n", 2);
}

void resp_out_line(char type, struct slice text) {
    if (!conn_has_room(text.len + 3)) return;
    char *p = conn_tail();
    *p++ = type;
    memcpy(p, text.ptr, text.len);
    p += text.len;
    *p++ = '\r';
    *p++ = '\n';
    resp_out_commit(p);
}

void resp_out_clean(struct slice text) {
    if (!conn_has_room(text.len)) return;
    char *p = conn_tail();
    for (size_t i = 0; i < text.len; i++)
        p[i] = text.ptr[i] == '\r' || text.ptr[i] == '\n' ? ' ' : text.ptr[i];
    resp_out_commit(p + text.len);
}

void resp_out_clean_line(char type, struct slice text) {
    if (!conn_has_room(text.len + 3)) return;
    conn_write(&type, 1);
    resp_out_clean(text);
    conn_write("\r\n", 2);
}
