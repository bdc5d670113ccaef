// A flit: the one packet of the mesh. Every packet is one flit, so a route never outlives a cycle.
package flit;

    localparam int COORDINATE = 6;  // bits of a core's x or y: a mesh of at most 64 x 64
    localparam int PORTS = 5;       // of a router

    // Ports of a router, in the order of arbitration. y grows to the south.
    localparam int L = 0;
    localparam int N = 1;
    localparam int E = 2;
    localparam int S = 3;
    localparam int W = 4;

    /* verilator lint_off UNUSEDPARAM */
    // What a flit carries.
    localparam logic [1:0] SPIKE = 2'd0;      // a count
    localparam logic [1:0] END = 2'd1;        // the producer's last event of an edge and timestep has left
    localparam logic [1:0] READY = 2'd2;      // the consumer may be sent an edge's events of a timestep
    localparam logic [1:0] POTENTIAL = 2'd3;  // a membrane potential, to or from the edge
    /* verilator lint_on UNUSEDPARAM */

    // This port of core (0, 0) is the edge of the chip, west of router (0, 0).
    localparam logic [7:0] EDGE_PORT = 8'd255;

    typedef struct packed {
        logic [1:0]            kind;
        logic [COORDINATE-1:0] x;  // destination core
        logic [COORDINATE-1:0] y;
        logic [7:0]            port;  // entry of its port table
        logic [7:0]            t;     // timestep
        logic [9:0]            sy;    // site, in coordinates of the producer's tensor
        logic [9:0]            sx;
        logic [13:0]           channel;
        logic [31:0]           value;  // count or potential
    } flit_t;

    localparam int WIDTH = 96;  // bits of flit_t

endpackage
