// Inside the router: yosys joins these to the wires of the same names.
localparam int INDEX = DEPTH > 1 ? $clog2(DEPTH) : 1;
localparam int HELD = $clog2(DEPTH + 1);
localparam int LOCAL = $clog2(LOCAL_CREDITS + 1);

(* hierconn *) wire [5*FLIT-1:0] \dut.heads ;
(* hierconn *) wire [24:0] \dut.grants ;

(* hierconn *) wire [DEPTH*FLIT-1:0] \dut.inputs[0].queue.contents , \dut.inputs[1].queue.contents ,
    \dut.inputs[2].queue.contents , \dut.inputs[3].queue.contents , \dut.inputs[4].queue.contents ;
(* hierconn *) wire [INDEX-1:0] \dut.inputs[0].queue.first , \dut.inputs[1].queue.first ,
    \dut.inputs[2].queue.first , \dut.inputs[3].queue.first , \dut.inputs[4].queue.first ;
(* hierconn *) wire [INDEX-1:0] \dut.inputs[0].queue.next , \dut.inputs[1].queue.next ,
    \dut.inputs[2].queue.next , \dut.inputs[3].queue.next , \dut.inputs[4].queue.next ;
(* hierconn *) wire [HELD-1:0] \dut.inputs[0].queue.count , \dut.inputs[1].queue.count ,
    \dut.inputs[2].queue.count , \dut.inputs[3].queue.count , \dut.inputs[4].queue.count ;
(* hierconn *) wire [4:0] \dut.outputs[0].pointer , \dut.outputs[1].pointer , \dut.outputs[2].pointer ,
    \dut.outputs[3].pointer , \dut.outputs[4].pointer ;
(* hierconn *) wire [LOCAL-1:0] \dut.outputs[0].credits ;
(* hierconn *) wire [HELD-1:0] \dut.outputs[1].credits , \dut.outputs[2].credits , \dut.outputs[3].credits ,
    \dut.outputs[4].credits ;

wire [5*FLIT-1:0] heads = \dut.heads ;
wire [24:0] grants = \dut.grants ;
wire [5*DEPTH*FLIT-1:0] contents = {
    \dut.inputs[4].queue.contents , \dut.inputs[3].queue.contents , \dut.inputs[2].queue.contents ,
    \dut.inputs[1].queue.contents , \dut.inputs[0].queue.contents
};
wire [5*INDEX-1:0] first = {
    \dut.inputs[4].queue.first , \dut.inputs[3].queue.first , \dut.inputs[2].queue.first ,
    \dut.inputs[1].queue.first , \dut.inputs[0].queue.first
};
wire [5*INDEX-1:0] next = {
    \dut.inputs[4].queue.next , \dut.inputs[3].queue.next , \dut.inputs[2].queue.next ,
    \dut.inputs[1].queue.next , \dut.inputs[0].queue.next
};
wire [5*HELD-1:0] held = {
    \dut.inputs[4].queue.count , \dut.inputs[3].queue.count , \dut.inputs[2].queue.count ,
    \dut.inputs[1].queue.count , \dut.inputs[0].queue.count
};
wire [5*5-1:0] asked_first = {
    \dut.outputs[4].pointer , \dut.outputs[3].pointer , \dut.outputs[2].pointer ,
    \dut.outputs[1].pointer , \dut.outputs[0].pointer
};
wire [5*COUNT-1:0] out_credits = {
    COUNT'(\dut.outputs[4].credits ), COUNT'(\dut.outputs[3].credits ), COUNT'(\dut.outputs[2].credits ),
    COUNT'(\dut.outputs[1].credits ), COUNT'(\dut.outputs[0].credits )
};
