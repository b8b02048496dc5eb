// Decoding with libpng, whose errors are jumps that Swift cannot take part in.
#pragma once
#include <png.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum cpng_result { cpng_ok, cpng_damaged, cpng_cut_short };
enum { cpng_message_size = 200 };

struct cpng_source {
    const uint8_t *bytes;
    size_t count, offset;
    enum cpng_result result;
    char *message;
    jmp_buf failure;
};

static void cpng_fail(png_structp png, png_const_charp message) {
    struct cpng_source *source = (struct cpng_source *)png_get_error_ptr(png);
    if (source->result == cpng_ok) source->result = cpng_damaged;
    snprintf(source->message, cpng_message_size, "%s", message);
    longjmp(source->failure, 1);
}

static void cpng_ignore(png_structp png, png_const_charp message) {}

static void cpng_read(png_structp png, png_bytep target, size_t count) {
    struct cpng_source *source = (struct cpng_source *)png_get_io_ptr(png);
    if (count > source->count - source->offset) {
        source->result = cpng_cut_short;
        png_error(png, "the end is missing");
    }
    memcpy(target, source->bytes + source->offset, count);
    source->offset += count;
}

// round(colour * alpha / 255): a colour laid over black.
static inline uint8_t cpng_over_black(unsigned colour, unsigned alpha) {
    unsigned t = colour * alpha + 128;
    return (uint8_t)(((t >> 8) + t) >> 8);
}

// Lays a row of pixels of grey or red, green and blue, and alpha over black.
static inline void cpng_blend(const uint8_t *row, unsigned width, int colours, uint8_t *target) {
    for (unsigned x = 0; x < width; x++, row += colours + 1, target += colours)
        for (int colour = 0; colour < colours; colour++) target[colour] = cpng_over_black(row[colour], row[colours]);
}

// Decodes a file in memory to `pixels`, [height, width, channels], if it has that shape.
//
// Low depths are scaled to 8 bits, of 16 bits the high byte is taken, palettes become colours, and alpha is laid over
// black. Where it fails it writes why to `message`, which holds cpng_message_size.
static inline __attribute__((noinline)) enum cpng_result cpng_decode(
    const uint8_t *bytes, size_t count, unsigned channels, unsigned height, unsigned width, uint8_t *pixels, char *message
) {
    struct cpng_source source = {.bytes = bytes, .count = count, .result = cpng_ok, .message = message};
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, cpng_fail, cpng_ignore);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    uint8_t *volatile rows = NULL;
    if (!info) {
        snprintf(message, cpng_message_size, "no memory");
        source.result = cpng_damaged;
    } else if (!setjmp(source.failure)) {
        png_set_read_fn(png, &source, cpng_read);
        png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
        // Of what is no pixels, transparency alone is used.
        png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
        png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_AS_DEFAULT, (png_const_bytep) "tRNS", 1);
        png_read_info(png, info);
        png_set_expand(png);
        png_set_strip_16(png);
        int passes = png_set_interlace_handling(png);
        png_read_update_info(png, info);

        int found = png_get_channels(png, info);
        size_t row_size = png_get_rowbytes(png, info);
        if (png_get_image_height(png, info) != height || png_get_image_width(png, info) != width ||
            (found < 3 ? 1 : 3) != channels || row_size != (size_t)width * found)
            png_error(png, "the header contradicts itself");
        // Passes need all rows of the one before.
        rows = (uint8_t *)calloc(passes > 1 ? height : 1, row_size);
        if (!rows) png_error(png, "no memory");
        for (int pass = 1; pass <= passes; pass++)
            for (size_t y = 0; y < height; y++) {
                uint8_t *row = rows + (passes > 1 ? y * row_size : 0);
                png_read_row(png, row, NULL);
                if (pass < passes) continue;
                uint8_t *target = pixels + y * width * channels;
                if ((unsigned)found == channels)
                    memcpy(target, row, row_size);
                else
                    cpng_blend(row, width, (int)channels, target);
            }
        png_read_end(png, NULL);
    }
    free(rows);
    png_destroy_read_struct(&png, &info, NULL);
    return source.result;
}
