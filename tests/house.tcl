# utils/check-layers finds each kind of violation, in the right file and line, and nothing in a clean tree.

namespace eval house {
    variable root ""
}

# Adds a file below the tree's root. Each line of the text is given with the margin of the test.
proc house_file {path text} {
    set path [file join $house::root $path]
    file mkdir [file dirname $path]
    set file [open $path w]
    fconfigure $file -encoding utf-8
    foreach line [split [string trim $text \n] \n] { puts $file [string trim $line] }
    close $file
}

# A tree of three layers, in which nothing is wrong.
proc house_clean_tree {} {
    house_file src/layers {
        # The ground comes first.

        low      the ground
        mid      the middle
        empty    has no files yet
        top      the roof
    }
    house_file src/low/shelf.h {
        /* struct roof, "mid/box.h" and typedef struct x y in a comment are nothing. */
        #pragma once
        #include <stddef.h>
        struct shelf;
        enum shelf_kind { SHELF_WOOD, SHELF_STEEL = 2 };
        size_t shelf_size(const struct shelf *s);
    }
    house_file src/low/shelf.c {
        #include "low/shelf.h"
        struct shelf { size_t size; };
        size_t shelf_size(const struct shelf *s) { return s->size; }
    }
    house_file src/mid/box.h {
        #pragma once
        #include "low/shelf.h"
        struct box { struct shelf *on; };
        extern int box_count;
        extern void (*box_opened)(struct box *b);
        #define BOX_MAX 7
        static inline int box_is_full(const struct box *b) { return b->on != 0; }
    }
    house_file src/mid/box.c {
        #include "mid/box.h"
        int box_count;
        void (*box_opened)(struct box *b);
    }
    house_file src/top/roof.c {
        #include "mid/box.h"
        int roof(void) { return box_count; }
    }
    house_file src/main.c {
        #include "low/shelf.h"
        int main(void) { return SHELF_STEEL; }
    }
    house_file tests/roof.tcl {
        # A test.
    }
}

# Runs the body with a clean tree, which it may spoil.
proc with_house {body} {
    set house::root [string trim [exec mktemp -d]]
    house_clean_tree
    set code [catch {uplevel 1 $body} result options]
    file delete -force $house::root
    return -options $options $result
}

proc house_check {args} {
    set failed [catch {exec [file join $::root utils check-layers] {*}$args $house::root} output options]
    regsub {\nchild process exited abnormally$} $output "" output
    if {$failed && [lindex [dict get $options -errorcode] 0] ne "CHILDSTATUS"} { error $output }
    assert_equal [expr {$output ne ""}] $failed
    return $output
}

proc assert_house {violations} {
    assert_equal [join $violations \n] [house_check]
}

test "A clean tree passes" {
    with_house { assert_house {} }
}

test "An include of a higher layer is found, and one of no layer at all" {
    with_house {
        house_file src/low/wall.c {
            #include "low/shelf.h"
            #include "mid/box.h"
            #include "shelf.h"
            #include "cellar/wine.h"
            enum shelf_kind wall(void) { return BOX_MAX; }
        }
        assert_house {
            {src/low/wall.c:2: low must not know of mid}
            {src/low/wall.c:3: include "shelf.h" without its folder}
            {src/low/wall.c:4: no such layer: cellar}
        }
    }
}

test "A folder that is not a layer is found, and a missing one is none" {
    with_house {
        house_file src/cellar/wine.c { int wine; }
        assert_house {{src/cellar/wine.c:1: its folder is not a layer}}
    }
}

test "A stem that stands in two folders is found" {
    with_house {
        house_file src/top/shelf.c { int top_shelf; }
        assert_house {{src/top/shelf.c:1: the stem "shelf" is also in src/low/}}
    }
}

test "A typedef of a struct is found, one of a function is none" {
    with_house {
        house_file src/top/room.h {
            #pragma once
            typedef int (*room_fn)(void);
            typedef struct room room_t;
            typedef const struct room *room_p;
        }
        assert_house {
            {src/top/room.h:3: typedef of a struct}
            {src/top/room.h:4: typedef of a struct}
        }
    }
}

test "Modules that include each other are found, whichever of their files do so" {
    with_house {
        house_file src/top/one.h {
            #pragma once
            int one(void);
        }
        house_file src/top/one.c {
            #include "top/one.h"
            #include "top/two.h"
            int one(void) { return two(); }
        }
        house_file src/top/two.h {
            #pragma once
            int two(void);
        }
        house_file src/top/two.c {
            #include "top/two.h"
            #include "top/three.h"
            int two(void) { return three(); }
        }
        house_file src/top/three.h {
            #pragma once
            #include "top/one.h"
            static inline int three(void) { return one(); }
        }
        assert_house {{src/top/one.c:2: a circle of 3 modules (top/one, top/three, top/two),\
            such as top/one -> top/two -> top/three -> top/one}}
    }
}

test "A structure may include its own parts, and they the structure" {
    with_house {
        house_file src/top/tree.h {
            #pragma once
            #include "top/tree_leaf.h"
            struct tree { struct leaf leaf; };
        }
        house_file src/top/tree.c {
            #include "top/tree.h"
            struct tree tree;
        }
        house_file src/top/tree_walk.c {
            #include "top/tree.h"
            #include "top/tree_leaf.h"
            void tree_walk(struct tree *t, struct leaf *l) {}
        }
        house_file src/top/tree_leaf.h {
            #pragma once
            #include "top/tree.h"
            struct leaf { struct tree *of; };
        }
        assert_house {}
    }
}

test "A part without a .c may lie below the modules that its structure uses" {
    with_house {
        house_file src/top/tree.h {
            #pragma once
            #include "top/tree_leaf.h"
            struct tree { struct leaf leaf; };
        }
        house_file src/top/tree.c {
            #include "top/tree.h"
            #include "top/wood.h"
            void tree(struct tree *t) { wood(&t->leaf); }
        }
        house_file src/top/tree_leaf.h {
            #pragma once
            struct leaf { int size; };
        }
        house_file src/top/wood.h {
            #pragma once
            #include "top/tree_leaf.h"
            void wood(struct leaf *l);
        }
        assert_house {}
    }
}

test "A .c without a header is not free of the circles that its structure is in" {
    with_house {
        house_file src/top/tree.h {
            #pragma once
            struct tree { int leaves; };
        }
        house_file src/top/tree.c {
            #include "top/tree.h"
            struct tree tree;
        }
        house_file src/top/tree_walk.c {
            #include "top/tree.h"
            #include "top/wood.h"
            void tree_walk(struct tree *t) { wood(t); }
        }
        house_file src/top/wood.h {
            #pragma once
            void wood(struct tree *t);
        }
        house_file src/top/wood.c {
            #include "top/tree.h"
            #include "top/wood.h"
            void wood(struct tree *t) { t->leaves++; }
        }
        assert_house {{src/top/tree_walk.c:2: a circle of 2 modules (top/tree, top/wood),\
            such as top/tree -> top/wood -> top/tree}}
    }
}

test "A circle that check-layers lists is none, a larger one is" {
    with_house {
        house_file src/layers { rdb snapshots }
        foreach folder {low mid top} { file delete -force [file join $house::root src $folder] }
        house_file src/main.c { int main(void) { return 0; } }
        house_file src/rdb/rdb.h {
            #pragma once
            int rdb(void);
        }
        house_file src/rdb/rdb_read.c {
            #include "rdb/rdb.h"
            #include "rdb/rdb_decode.h"
            int rdb(void) { return rdb_decode(); }
        }
        house_file src/rdb/rdb_decode.h {
            #pragma once
            int rdb_decode(void);
        }
        house_file src/rdb/rdb_decode.c {
            #include "rdb/rdb_decode.h"
            #include "rdb/rdb.h"
            int rdb_decode(void) { return rdb(); }
        }
        assert_house {}
        house_file src/rdb/reader.h {
            #pragma once
            #include "rdb/rdb.h"
            static inline int reader(void) { return rdb(); }
        }
        house_file src/rdb/rdb_skip.c {
            #include "rdb/reader.h"
            int rdb_skip(void) { return reader(); }
        }
        assert_house {{src/rdb/rdb_read.c:2: a circle of 3 modules\
            (rdb/rdb, rdb/rdb_decode, rdb/reader), such as rdb/rdb -> rdb/rdb_decode ->\
            rdb/rdb}}
    }
}

test "An include of which nothing is used is found; comments, strings and foreign tags are no use" {
    with_house {
        house_file src/top/room.c {
            #include "low/shelf.h"
            #include "mid/box.h"
            /* box_count */
            const char *room = "box_is_full" /* a
            BOX_MAX */ "it's box_opened"; // struct box
            char quote = '"', box_counted; /* a struct shelf belongs to low/shelf.h, which box.h only uses */
            size_t room_size(struct shelf *s) { return shelf_size(s); }
        }
        assert_house {{src/top/room.c:2: uses nothing of "mid/box.h"}}
    }
}

test "Every kind of name that a header declares counts as use of it" {
    foreach use {box_count (*box_opened)() BOX_MAX box_is_full {struct box b}} {
        with_house {
            house_file src/top/room.c "#include \"mid/box.h\"\nvoid room(void) { $use; }"
            assert_house {}
        }
    }
    foreach use {{struct shelf *s} {enum shelf_kind k} SHELF_WOOD SHELF_STEEL shelf_size} {
        with_house {
            house_file src/top/room.c "#include \"low/shelf.h\"\nvoid room(void) { $use; }"
            assert_house {}
        }
    }
}

test "A file may include its own header and use nothing of it" {
    with_house {
        house_file src/top/room.h {
            #pragma once
            int room(void);
        }
        house_file src/top/room.c { #include "top/room.h" }
        assert_house {}
    }
}

test "Lines longer than 120 columns are found: characters count, not bytes" {
    with_house {
        set long "# [string repeat - 119]"
        set fits "# [string repeat \u8535 118]"
        house_file src/top/room.c "$fits\n/* [string repeat x 120] */"
        house_file tests/unit/test_room.c $long
        house_file tests/compat/room.cmds "$long\nSET k [string repeat v 200]"
        house_file tests/corpus/room.rdb $long
        house_file utils/sweep "$fits\n$fits\n$long"
        assert_house {
            {src/top/room.c:2: 126 columns}
            {tests/compat/room.cmds:1: 121 columns}
            {tests/unit/test_room.c:1: 121 columns}
            {utils/sweep:3: 121 columns}
        }
    }
}
