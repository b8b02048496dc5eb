// Decoding with libjpeg, whose errors are jumps that Swift cannot take part in.
#pragma once
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// After stdio.h, which it needs and does not include.
#include <jpeglib.h>
#include <jerror.h>

enum cjpeg_result { cjpeg_ok, cjpeg_damaged, cjpeg_cut_short, cjpeg_too_many_scans };
enum { cjpeg_message_size = JMSG_LENGTH_MAX, cjpeg_most_scans = 500 };

struct cjpeg_errors {
    struct jpeg_error_mgr manager;  // first: libjpeg knows no more of it
    enum cjpeg_result result;
    char *message;
    jmp_buf failure;
};

static void cjpeg_end(j_common_ptr decoder, enum cjpeg_result result) {
    struct cjpeg_errors *errors = (struct cjpeg_errors *)decoder->err;
    errors->result = result;
    errors->manager.format_message(decoder, errors->message);
    longjmp(errors->failure, 1);
}

static void cjpeg_fail(j_common_ptr decoder) { cjpeg_end(decoder, cjpeg_damaged); }

// Of libjpeg's warnings, that of the end alone is one for us.
static void cjpeg_warn(j_common_ptr decoder, int level) {
    if (level < 0 && decoder->err->msg_code == JWRN_JPEG_EOF) cjpeg_end(decoder, cjpeg_cut_short);
}

// Every scan of a progressive file goes over the whole picture, and may take two bytes.
static void cjpeg_watch(j_common_ptr decoder) {
    if (((j_decompress_ptr)decoder)->input_scan_number > cjpeg_most_scans) cjpeg_end(decoder, cjpeg_too_many_scans);
}

// Decodes a file in memory to `pixels`, [height, width, channels], if it has that shape, with libjpeg's exact integer
// transform and smooth upsampling of colours. Where it fails it writes why to `message`, which holds cjpeg_message_size.
static inline __attribute__((noinline)) enum cjpeg_result cjpeg_decode(
    const uint8_t *bytes, size_t count, unsigned channels, unsigned height, unsigned width, uint8_t *pixels, char *message
) {
    struct jpeg_decompress_struct decoder;
    struct jpeg_progress_mgr progress;
    struct cjpeg_errors errors;
    memset(&decoder, 0, sizeof decoder);
    memset(&progress, 0, sizeof progress);
    decoder.err = jpeg_std_error(&errors.manager);
    errors.manager.error_exit = cjpeg_fail;
    errors.manager.emit_message = cjpeg_warn;
    errors.result = cjpeg_ok;
    errors.message = message;
    progress.progress_monitor = cjpeg_watch;
    if (!setjmp(errors.failure)) {
        jpeg_create_decompress(&decoder);
        decoder.progress = &progress;
        jpeg_mem_src(&decoder, bytes, count);
        jpeg_read_header(&decoder, TRUE);
        decoder.out_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
        decoder.dct_method = JDCT_ISLOW;
        decoder.do_fancy_upsampling = TRUE;
        jpeg_start_decompress(&decoder);
        if (decoder.output_height != height || decoder.output_width != width || decoder.output_components != (int)channels)
            ERREXIT(&decoder, JERR_BAD_STATE);
        for (size_t y = 0; y < height; y++) {
            JSAMPROW row = pixels + y * width * channels;
            jpeg_read_scanlines(&decoder, &row, 1);
        }
        jpeg_finish_decompress(&decoder);
    }
    jpeg_destroy_decompress(&decoder);
    return errors.result;
}
