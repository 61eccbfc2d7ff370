# COMMAND: what it tells about each command we have is what Redis tells, and its subcommands answer as Redis's.

set oracle [file join $root build oracle redis-server]
if {![file executable $oracle]} { set oracle /usr/bin/redis-server }

# Rows that Redis 7.0 does not know, or knows differently: why is said at each.
set new_in_7_2 {client|no-touch client|setinfo}
array set differs {
    client|list {7.2 added lib-name and lib-ver, and says so in the history}
    zrank {7.2 added WITHSCORE}
    zrevrank {7.2 added WITHSCORE}
}

proc start_oracle {} {
    global oracle env
    set saved [array get env KURA_SERVER]
    set env(KURA_SERVER) $oracle
    set handle [server_start {}]
    unset env(KURA_SERVER)
    array set env $saved
    return $handle
}

# A tagged RESP3 value without the display_text of arguments, which 7.2 has and 7.0 has not, and without subcommands,
# which are compared by themselves.
proc comparable {value} {
    lassign $value type content
    if {$type ni {map array set}} { return $value }
    set kept {}
    if {$type eq "map"} {
        foreach {name field} $content {
            if {[lindex $name 1] in {display_text subcommands}} { continue }
            lappend kept $name [comparable $field]
        }
    } else {
        foreach member $content { lappend kept [comparable $member] }
    }
    return [list $type $kept]
}

proc info_of {c name} {
    set reply [lindex [$c COMMAND INFO $name] 1 0]
    if {[lindex $reply 0] ne "array"} { return $reply }
    return [list array [lmap member [lrange [lindex $reply 1] 0 8] { comparable $member }]]
}

proc docs_of {c name} {
    return [comparable [$c COMMAND DOCS $name]]
}

proc same_everywhere {ours theirs args} {
    foreach {c reply} [list $ours mine $theirs his] {
        if {[catch {$c {*}$args} $reply]} { set $reply "error: [set $reply]" }
    }
    if {$mine ne $his} { error "[join $args]\n  ours:   [shorten $mine]\n  theirs: [shorten $his]" }
}

set theirs_handle [start_oracle]

with_server {} {
    set ours [client]
    set theirs [client $theirs_handle]
    $ours HELLO 3
    $theirs HELLO 3
    set names [lsort [$ours COMMAND LIST]]
    foreach c [list $ours $theirs] { $c -tagged 1 }

    test "COMMAND INFO of each command is Redis's" {
        foreach name $names {
            if {$name in $new_in_7_2 || [info exists differs($name)]} { continue }
            set expected [info_of $theirs $name]
            set actual [info_of $ours $name]
            if {$expected ne $actual} { lappend wrong "$name\n  ours:   $actual\n  theirs: $expected" }
        }
        if {[info exists wrong]} { error [join $wrong \n] }
    }

    test "COMMAND DOCS of each command is Redis's" {
        foreach name $names {
            if {$name in $new_in_7_2 || [info exists differs($name)]} { continue }
            set expected [docs_of $theirs $name]
            set actual [docs_of $ours $name]
            if {$expected ne $actual} { lappend wrong "$name\n  ours:   $actual\n  theirs: $expected" }
        }
        if {[info exists wrong]} { error [join $wrong \n] }
    }

    foreach c [list $ours $theirs] { $c -tagged 0 }

    test "subcommands of a container are listed with it" {
        set info [lindex [$ours COMMAND INFO config] 0]
        assert_equal {config|get config|set} [lmap sub [lindex $info 9] {
            if {[lindex $sub 0] ni {config|get config|set}} { continue }
            lindex $sub 0
        }]
        assert {[dict exists [$ours COMMAND DOCS config] config subcommands config|get arguments]}
    }

    test "arguments have a display_text, groups have none" {
        set arguments [dict get [$ours COMMAND DOCS set] set arguments]
        assert_equal {name key type key display_text key key_spec_index 0} [lindex $arguments 0]
        assert {![dict exists [lindex $arguments 2] display_text]}
    }

    test "COMMAND, COMMAND COUNT, COMMAND LIST and COMMAND DOCS agree" {
        set count [$ours COMMAND COUNT]
        assert_equal $count [llength [$ours COMMAND]]
        assert_equal $count [llength [$ours COMMAND INFO]]
        assert_equal $count [dict size [$ours COMMAND DOCS]]
        assert_equal $count [llength [lsearch -all -not [$ours COMMAND LIST] *|*]]
        assert_equal $names [lsort -unique $names]
    }

    test "COMMAND LIST filters" {
        assert_equal {config|get config|help} [lmap name [lsort [$ours COMMAND LIST FILTERBY PATTERN CONFIG|*e*]] {
            if {$name ni {config|get config|help}} { continue }
            set name
        }]
        assert_equal get [$ours COMMAND LIST FILTERBY PATTERN get]
        assert {"get" in [$ours COMMAND LIST FILTERBY ACLCAT STRING]}
        assert {"config|get" in [$ours COMMAND LIST filterby aclcat dangerous]}
        foreach c {{FILTERBY MODULE x} {FILTERBY ACLCAT nothing} {FILTERBY ACLCAT @string} {FILTERBY PATTERN nothing*}
                   FILTERBY {FILTERBY PATTERN} {FILTERBY PATTERN a b} {FILTERBY x y} x} {
            same_everywhere $ours $theirs COMMAND LIST {*}$c
        }
    }

    test "COMMAND GETKEYS and GETKEYSANDFLAGS answer as Redis's" {
        foreach request {
            {GET k} {SET k v} {SET k v GET} {SET k v EX 1 get} {GETEX k} {GETDEL k} {APPEND k v} {STRLEN k} {MGET a}
            {MGET a b c} {MSET a 1 b 2} {MSET a 1 b} {MSET a} {MSETNX a 1} {LCS a b} {LCS a b IDX} {COPY a b}
            {RENAME a b} {RENAME a} {DEL a b} {EXISTS a a} {OBJECT ENCODING k} {OBJECT} {OBJECT x k} {OBJECT ENCODING}
            {EXPIRE k 1} {TTL k} {TYPE k} {PING} {PING x} {ECHO x} {NOSUCH x} {CONFIG} {CONFIG GET a} {CONFIG SET a b}
            {CONFIG x} {SCAN 0} {KEYS *} {GET} {MOVE k 1}
            {TOUCH a} {UNLINK a b} {PERSIST k} {INCRBYFLOAT k 1} {SETRANGE k 0 v} {SUBSTR k 0 1} {SORT} {}
        } {
            same_everywhere $ours $theirs COMMAND GETKEYS {*}$request
            same_everywhere $ours $theirs COMMAND GETKEYSANDFLAGS {*}$request
        }
    }

    test "unknown names, wrong numbers of arguments and HELP" {
        foreach request {{INFO nosuch} {INFO nosuch get x|y} {INFO config|nosuch} {INFO |} {INFO config|} {INFO get|set}
                         {DOCS nosuch} {DOCS config|nosuch nosuch} {COUNT x} {HELP x} nosuch {INFO ""} {DOCS ""}} {
            same_everywhere $ours $theirs COMMAND {*}$request
        }
        same_everywhere $ours $theirs COMMAND HELP
    }

    test "redis-cli reads COMMAND DOCS for its help" {
        set cli [file join $root build oracle redis-cli]
        if {![file executable $cli]} { skip "no redis-cli" }
        set colored [exec $cli -p [server_port] << "help get\nhelp config get\nset cli-key value\n"]
        regsub -all {\x1b\[[0-9]*m} $colored "" text
        assert_match "*GET key*since: 1.0.0*group: string*CONFIG GET parameter*OK*" $text
    }
}

server_stop $theirs_handle
server_forget $theirs_handle
