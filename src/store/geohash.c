/* A search uses the cell around its center, which is at least as large as the shape, and the eight cells around that
 * one. These nine ranges of scores cover the shape; those that it does not reach are left out. */
#include "store/geohash.h"
#include <math.h>

#define STEPS 26                    /* halvings of a whole score */
#define EARTH_RADIUS 6372797.560856 /* metres */
#define MERCATOR_MAX 20037726.37    /* metres from the middle of the map to its edge */
#define DEGREE (M_PI / 180.0)       /* radians */

#define LATITUDE_BITS 0x5555555555555555u
#define LONGITUDE_BITS 0xaaaaaaaaaaaaaaaau

struct interval {
    double min, max;
};
static const struct interval longitudes = {-GEOHASH_LONGITUDE_MAX, GEOHASH_LONGITUDE_MAX};
static const struct interval latitudes = {-GEOHASH_LATITUDE_MAX, GEOHASH_LATITUDE_MAX};

/* --- Cells ----------------------------------------------------------------------------------- */

struct cell {
    uint64_t bits;
    unsigned steps;
};

/* Move the bits of n to the even positions of a word, and back (S. E. Anderson, "Bit Twiddling Hacks"). */
static uint64_t spread_bits(uint32_t n) {
    uint64_t x = n;
    x = (x | x << 16) & 0x0000ffff0000ffff;
    x = (x | x << 8) & 0x00ff00ff00ff00ff;
    x = (x | x << 4) & 0x0f0f0f0f0f0f0f0f;
    x = (x | x << 2) & 0x3333333333333333;
    return (x | x << 1) & LATITUDE_BITS;
}

static uint32_t gather_bits(uint64_t x) {
    x &= LATITUDE_BITS;
    x = (x | x >> 1) & 0x3333333333333333;
    x = (x | x >> 2) & 0x0f0f0f0f0f0f0f0f;
    x = (x | x >> 4) & 0x00ff00ff00ff00ff;
    x = (x | x >> 8) & 0x0000ffff0000ffff;
    return (uint32_t)(x | x >> 16);
}

/* The index of the part that contains x, when the interval is cut into 2^steps parts. The end of the interval gets the
 * index behind the last part. */
static uint32_t part_of(double x, struct interval of, unsigned steps) {
    return (uint32_t)((x - of.min) / (of.max - of.min) * (double)((uint64_t)1 << steps));
}

static struct interval part_at(uint32_t part, struct interval of, unsigned steps) {
    double parts = (double)((uint64_t)1 << steps), length = of.max - of.min;
    return (struct interval){of.min + part / parts * length, of.min + (uint32_t)(part + 1) / parts * length};
}

static struct cell cell_of(struct geohash_point p, struct interval latitudes, unsigned steps) {
    uint64_t latitude = spread_bits(part_of(p.latitude, latitudes, steps));
    return (struct cell){latitude | spread_bits(part_of(p.longitude, longitudes, steps)) << 1, steps};
}

static struct interval latitudes_of(struct cell cell) {
    return part_at(gather_bits(cell.bits), latitudes, cell.steps);
}

static struct interval longitudes_of(struct cell cell) {
    return part_at(gather_bits(cell.bits >> 1), longitudes, cell.steps);
}

/* Move one step along the axis with these bits. With the gaps between them filled, a carry or borrow passes through. */
static struct cell move_cell(struct cell cell, uint64_t axis, int direction) {
    uint64_t all = UINT64_MAX >> (64 - 2 * cell.steps), gaps = ~axis & all;
    uint64_t along = cell.bits & axis;
    if (direction > 0) {
        along += gaps + 1;
    } else if (direction < 0) {
        along = (along | gaps) - (gaps + 1);
    }
    if (direction) along &= axis & all;
    cell.bits = along | (cell.bits & ~axis);
    return cell;
}

static struct cell neighbour_of(struct cell cell, int east, int north) {
    return move_cell(move_cell(cell, LONGITUDE_BITS, east), LATITUDE_BITS, north);
}

/* --- Points ---------------------------------------------------------------------------------- */

double geohash_encode(struct geohash_point p) {
    return (double)cell_of(p, latitudes, STEPS).bits;
}

/* Convert to an unsigned integer as x86-64 does, also where C leaves it undefined: a score may be any number. */
static uint64_t bits_of(double score) {
    const uint64_t top = (uint64_t)1 << 63;
    if (score >= 0x1p64) return 0;
    if (score >= 0x1p63) return (uint64_t)score;
    if (score < -0x1p63) return top;
    return (uint64_t)(int64_t)score;
}

static double middle_of(struct interval i, double limit) {
    double x = (i.min + i.max) / 2;
    return x > limit ? limit : x < -limit ? -limit : x;
}

struct geohash_point geohash_decode(double score) {
    struct cell cell = {bits_of(score), STEPS};
    return (struct geohash_point){middle_of(longitudes_of(cell), GEOHASH_LONGITUDE_MAX),
                                  middle_of(latitudes_of(cell), GEOHASH_LATITUDE_MAX)};
}

/* 52 bits make 10 letters and 2 bits of the eleventh, which Redis always prints as zero. */
void geohash_print(char to[GEOHASH_TEXT], struct geohash_point p) {
    static const char letters[] = "0123456789bcdefghjkmnpqrstuvwxyz";
    uint64_t bits = cell_of(p, (struct interval){-90, 90}, STEPS).bits;
    for (int i = 0; i < GEOHASH_TEXT - 1; i++)
        to[i] = letters[bits >> (2 * STEPS - 5 * (i + 1)) & 31];
    to[GEOHASH_TEXT - 1] = letters[0];
}

static double latitude_distance(double a, double b) {
    return EARTH_RADIUS * fabs(b * DEGREE - a * DEGREE);
}

/* The haversine formula. On one meridian the distance is a difference of latitudes. */
double geohash_distance(struct geohash_point a, struct geohash_point b) {
    double v = sin((b.longitude * DEGREE - a.longitude * DEGREE) / 2);
    if (v == 0) return latitude_distance(a.latitude, b.latitude);
    double from = a.latitude * DEGREE, to = b.latitude * DEGREE;
    double u = sin((to - from) / 2);
    return 2.0 * EARTH_RADIUS * asin(sqrt(u * u + cos(from) * cos(to) * v * v));
}

/* --- Shapes ---------------------------------------------------------------------------------- */

static bool within_circle(const struct geohash_shape *shape, struct geohash_point p, double *distance) {
    double radius = shape->radius * shape->metres;
    /* Points too far north or south need no sine. The margin is larger than any rounding error of the exact answer. */
    if (latitude_distance(shape->center.latitude, p.latitude) > radius * 1.000001 + 1) return false;
    *distance = geohash_distance(shape->center, p);
    return !(*distance > radius);
}

static bool within_box(const struct geohash_shape *shape, struct geohash_point p, double *distance) {
    if (latitude_distance(p.latitude, shape->center.latitude) > shape->height * shape->metres / 2) return false;
    struct geohash_point beside = {shape->center.longitude, p.latitude};
    if (geohash_distance(p, beside) > shape->width * shape->metres / 2) return false;
    *distance = geohash_distance(shape->center, p);
    return true;
}

bool geohash_within(const struct geohash_shape *shape, struct geohash_point p, double *distance) {
    return shape->kind == GEOHASH_CIRCLE ? within_circle(shape, p, distance) : within_box(shape, p, distance);
}

struct bounds {
    double west, east, south, north;
};

/* The bounds of the shape in degrees. A metre is more degrees of longitude near a pole; Redis measures at this edge. */
static struct bounds bounds_of(const struct geohash_shape *shape) {
    bool circle = shape->kind == GEOHASH_CIRCLE;
    double high = shape->metres * (circle ? shape->radius : shape->height / 2);
    double wide = shape->metres * (circle ? shape->radius : shape->width / 2);
    struct geohash_point p = shape->center;
    double up = high / EARTH_RADIUS / DEGREE;
    double edge = p.latitude < 0 ? p.latitude - up : p.latitude + up;
    double aside = wide / EARTH_RADIUS / cos(edge * DEGREE) / DEGREE;
    return (struct bounds){p.longitude - aside, p.longitude + aside, p.latitude - up, p.latitude + up};
}

/* The number of halvings after which a cell is about as large as the shape. */
static unsigned steps_for(const struct geohash_shape *shape) {
    double w = shape->width / 2, h = shape->height / 2;
    double metres = (shape->kind == GEOHASH_CIRCLE ? shape->radius : sqrt(w * w + h * h)) * shape->metres;
    double latitude = fabs(shape->center.latitude);
    int steps = 1;
    if (metres == 0) return STEPS;
    for (; metres < MERCATOR_MAX; metres *= 2)
        steps++;
    steps -= 2;
    if (latitude > 66) steps--;
    if (latitude > 80) steps--;
    return steps < 1 ? 1 : steps > STEPS ? STEPS : (unsigned)steps;
}

/* True if the cells around this one reach the bounds. If not, the center is too near to an edge of its cell. */
static bool cells_reach(struct cell cell, const struct bounds *b) {
    return !(latitudes_of(neighbour_of(cell, 0, 1)).max < b->north ||
             latitudes_of(neighbour_of(cell, 0, -1)).min > b->south ||
             longitudes_of(neighbour_of(cell, 1, 0)).max < b->east ||
             longitudes_of(neighbour_of(cell, -1, 0)).min > b->west);
}

int geohash_cover(const struct geohash_shape *shape, struct geohash_range ranges[GEOHASH_RANGES]) {
    static const struct {
        int8_t east, north;
    } order[GEOHASH_RANGES] = {{0, 0}, {0, 1}, {0, -1}, {1, 0}, {-1, 0}, {1, 1}, {-1, 1}, {1, -1}, {-1, -1}};
    struct bounds b = bounds_of(shape);
    struct cell center = cell_of(shape->center, latitudes, steps_for(shape));
    if (center.steps > 1 && !cells_reach(center, &b)) center = cell_of(shape->center, latitudes, center.steps - 1);
    struct interval x = longitudes_of(center), y = latitudes_of(center);
    bool all = center.steps < 2;
    bool no_south = !all && y.min < b.south, no_north = !all && y.max > b.north;
    bool no_west = !all && x.min < b.west, no_east = !all && x.max > b.east;
    struct cell last = {0, 0};
    int n = 0;
    for (int i = 0; i < GEOHASH_RANGES; i++) {
        int east = order[i].east, north = order[i].north;
        if ((east < 0 && no_west) || (east > 0 && no_east) || (north < 0 && no_south) || (north > 0 && no_north))
            continue;
        struct cell cell = neighbour_of(center, east, north);
        if (cell.steps == last.steps && cell.bits == last.bits) continue; /* the same cell again, around the world */
        if (i > 0) last = cell;
        unsigned shift = 2 * (STEPS - cell.steps);
        ranges[n++] = (struct geohash_range){(double)(cell.bits << shift), (double)((cell.bits + 1) << shift)};
    }
    return n;
}
