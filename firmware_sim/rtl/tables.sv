// The tables that program a core: what the loader writes and how wide it is.
//
// They say what a firmware image says (docs/firmware.md), with products of constants worked out by the loader, so that
// the core multiplies nowhere but in the address of an event's first target.
package tables;

    localparam int LANES = 16;  // channels of a word

    // What a core can hold. A step's destinations lie side by side, because fire looks at all of them in one cycle.
    localparam int TILES = 8;         // tiles of a core
    /* verilator lint_off UNUSEDPARAM */
    localparam int STEPS = 8;         // steps of a tile, for the loader
    /* verilator lint_on UNUSEDPARAM */
    localparam int DESTINATIONS = 8;  // destinations of a step
    localparam int LADDER = 8;        // thresholds of a channel

    localparam int TILE = 3;         // bits of a tile's number
    localparam int STEP = 6;         // of a step's: tile, then its place in the tile
    localparam int PORT = 6;         // of a port's
    localparam int NUMBER = 6;       // of a destination's, counted over the core
    localparam int PRODUCER = 8;     // of an entry of the table of producers
    localparam int POTENTIAL = 12;   // of the address of a potential word
    localparam int WEIGHT = 13;      // of a weight word
    localparam int SHIFT = 8;        // of a word of shifts
    localparam int CONSTANT = 9;     // of a word of thresholds or biases
    localparam int RECIPROCAL = 29;  // of 2^28 / inputs, rounded up: exact for all channels of 14 bits

    localparam int WORD = LANES * 32;  // bits of a potential word

    typedef struct packed {
        logic                 maximum;    // takes the maximum of counts (pooling)
        logic [9:0]           y;          // its first row
        logic [9:0]           x;
        logic [10:0]          rows;
        logic [10:0]          columns;
        logic [13:0]          channel;    // its first channel
        logic [14:0]          channels;
        logic [POTENTIAL-1:0] base;       // its first potential word
        logic [10:0]          words;      // of a site
        logic [POTENTIAL-1:0] row_words;  // columns * words
    } tile_t;
    localparam int TILE_WIDTH = 107;

    typedef struct packed {
        logic                    ending;          // the tile's last
        logic                    sends_drive;     // OUTPUT
        logic [15:0]             number;          // place in the order of waits
        logic [3:0]              count;           // thresholds of a channel
        logic [CONSTANT-1:0]     ladder;          // first word of thresholds
        logic                    per_channel;     // a word of thresholds for each channel word
        logic                    biased;
        logic [CONSTANT-1:0]     bias;            // first word of biases
        logic                    clear;
        logic [9:0]              ends;            // that complete the group
        logic [PRODUCER-1:0]     first_producer;  // of all the group's ports, which lie side by side
        logic [PRODUCER-1:0]     producers;
        logic [DESTINATIONS-1:0] destinations;    // one bit for each that there is
        logic [NUMBER-1:0]       first_number;    // of the first destination
        logic [63:0]             waits;           // one bit for each destination whose READY it needs
    } step_t;
    localparam int STEP_WIDTH = 147;

    typedef struct packed {
        logic                  load;           // takes potentials
        logic [TILE-1:0]       tile;
        logic [2:0]            place;          // of its step in the tile
        logic [7:0]            kernel_y;
        logic [7:0]            kernel_x;
        logic                  double_y;       // stride 2
        logic                  double_x;
        logic [11:0]           top;            // two's complement
        logic [11:0]           left;
        logic [RECIPROCAL-1:0] reciprocal;
        logic [14:0]           inputs;         // per group
        logic [14:0]           outputs;
        logic [13:0]           channel;        // its first output channel
        logic                  bitwise;
        logic [WEIGHT-1:0]     weight;         // first weight word
        logic [SHIFT-1:0]      shift;          // first word of shifts
        logic [WEIGHT-1:0]     input_weights;  // weight words of an input: kernel_y * kernel_x * words
        logic [WEIGHT-1:0]     row_weights;    // of a kernel row: kernel_x * words
    } port_t;
    localparam int PORT_WIDTH = 170;

    typedef struct packed {
        logic [5:0]  x;
        logic [5:0]  y;
        logic [7:0]  port;
        logic [9:0]  y_low;   // the windows are inclusive
        logic [9:0]  y_high;
        logic [9:0]  x_low;
        logic [9:0]  x_high;
        logic [13:0] c_low;
        logic [13:0] c_high;
        logic [9:0]  dy;      // offsets, modulo the width of what they are added to
        logic [9:0]  dx;
        logic [13:0] dc;
    } destination_t;
    localparam int DESTINATION_WIDTH = 122;

    typedef struct packed {
        logic [5:0]  x;
        logic [5:0]  y;
        logic [7:0]  port;    // 0, or 255 for the host
        logic [13:0] number;  // of the destination in the producer's own table
    } producer_t;
    localparam int PRODUCER_WIDTH = 34;

    // What the loader can write, one word a cycle, while the mesh is in reset.
    typedef enum logic [3:0] {
        LOAD_TILES,         // the number of tiles: a register
        LOAD_TILE,
        LOAD_STEP,
        LOAD_PORT,
        LOAD_DESTINATION,   // address: step, then the place among its destinations
        LOAD_PRODUCER,
        LOAD_LADDER,        // address: word, then the threshold's number
        LOAD_BIAS,
        LOAD_SHIFT,
        LOAD_WEIGHT,
        LOAD_POTENTIAL
    } memory_t;

    // All targets of one event, as decode hands them to the engine. The first target is the lowest kernel row and column,
    // which is the highest row and column of the tile.
    typedef struct packed {
        logic                 none;         // no target: one issue that reads and writes nothing
        logic                 load;
        logic                 maximum;
        logic                 bitwise;
        logic [10:0]          rows;         // targets in y, less 1
        logic [10:0]          columns;
        logic [13:0]          low;          // channels to write, counted from the tile's first, inclusive
        logic [13:0]          high;
        logic [POTENTIAL-1:0] potential;    // first channel word of the first target
        logic [POTENTIAL-1:0] row_words;    // from a target back to the one a row above
        logic [10:0]          words;        // from a target back to the one on its left
        logic [WEIGHT-1:0]    weight;       // first weight word of the first target
        logic [WEIGHT-1:0]    weight_row;   // from a target to the next one in y
        logic [WEIGHT-1:0]    weight_side;  // in x
        logic [SHIFT-1:0]     shift;
    } work_t;

endpackage
