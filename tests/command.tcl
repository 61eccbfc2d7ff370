# COMMAND describes each command as Redis does, and its subcommands answer as those of Redis. Only the prose of COMMAND
# DOCS and of HELP is our own.

set oracle [file join $root build oracle redis-server]
if {![file executable $oracle]} { set oracle /usr/bin/redis-server }

# Rows that Redis 7.0 does not have, or has otherwise; each one with the reason.
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

# The part of a field of COMMAND DOCS, or of a key spec, that must equal that of Redis. Prose must only exist; but the
# versions in the history must be equal, and the words in capitals (commands, options) in replaced_by.
proc without_prose {name value} {
    switch $name {
        summary - complexity - notes { return prose }
        history { return [lmap change [lindex $value 1] { lindex $change 1 0 }] }
        replaced_by { return [regexp -all -inline {[A-Z]{2,}} [lindex $value 1]] }
        default { return [comparable $value] }
    }
}

# A tagged RESP3 value without prose, without the display_text of arguments, which only 7.2 has, and without
# subcommands, which are compared by themselves.
proc comparable {value} {
    lassign $value type content
    if {$type ni {map array set}} { return $value }
    set kept {}
    if {$type eq "map"} {
        foreach {name field} $content {
            if {[lindex $name 1] in {display_text subcommands}} { continue }
            lappend kept $name [without_prose [lindex $name 1] $field]
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

# The sentences of COMMAND about a command, in a form that makes equal ones equal. A single word is no sentence.
proc prose_of {c name} {
    if {[dict size [$c COMMAND DOCS $name]] == 0} { return {} }
    set docs [lindex [$c COMMAND DOCS $name] 1]
    foreach field {summary complexity replaced_by} {
        if {[dict exists $docs $field]} { lappend texts [dict get $docs $field] }
    }
    if {[dict exists $docs history]} { lappend texts {*}[lmap change [dict get $docs history] { lindex $change 1 }] }
    foreach spec [lindex [$c COMMAND INFO $name] 0 8] {
        if {[dict exists $spec notes]} { lappend texts [dict get $spec notes] }
    }
    return [lmap text $texts {
        if {[string first " " $text] < 0} { continue }
        string trimright [string tolower $text] .
    }]
}

# The lines of HELP that name a subcommand or an option of one, and those that explain it.
proc help_syntax {c container} {
    return [lsearch -all -inline -regexp [lrange [$c $container HELP] 0 end-1] {^\S|^    \*}]
}

proc help_prose {c container} {
    return [lsearch -all -inline -regexp [$c $container HELP] {^ +[^ *]}]
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

    test "COMMAND INFO of each command equals that of Redis" {
        foreach name $names {
            if {$name in $new_in_7_2 || [info exists differs($name)]} { continue }
            set expected [info_of $theirs $name]
            set actual [info_of $ours $name]
            if {$expected ne $actual} { lappend wrong "$name\n  ours:   $actual\n  theirs: $expected" }
        }
        if {[info exists wrong]} { error [join $wrong \n] }
    }

    test "COMMAND DOCS of each command equals that of Redis, except the prose" {
        foreach name $names {
            if {$name in $new_in_7_2 || [info exists differs($name)]} { continue }
            set expected [docs_of $theirs $name]
            set actual [docs_of $ours $name]
            if {$expected ne $actual} { lappend wrong "$name\n  ours:   $actual\n  theirs: $expected" }
        }
        if {[info exists wrong]} { error [join $wrong \n] }
    }

    foreach c [list $ours $theirs] { $c -tagged 0 }

    test "The summary of each command is a sentence" {
        foreach name $names {
            set summary [dict get [lindex [$ours COMMAND DOCS $name] 1] summary]
            if {![regexp {^[A-Z].* .*\.$} $summary]} { lappend wrong "$name: $summary" }
        }
        if {[info exists wrong]} { error [join $wrong \n] }
    }

    test "The prose of COMMAND DOCS and of key specs is our own" {
        foreach name $names {
            foreach text [prose_of $theirs $name] { set taken($text) "" }
        }
        assert {[array size taken] > 300}
        foreach name $names {
            foreach text [prose_of $ours $name] {
                if {[info exists taken($text)]} { lappend wrong "$name: $text" }
            }
        }
        if {[info exists wrong]} { error [join $wrong \n] }
    }

    test "HELP lists the same subcommands as HELP of Redis, and explains them in our own words" {
        foreach container {CLIENT COMMAND CONFIG DEBUG MEMORY OBJECT PUBSUB} {
            if {$container in {COMMAND CONFIG OBJECT PUBSUB}} {
                assert_equal [help_syntax $theirs $container] [help_syntax $ours $container]
            }
            set taken_lines [help_prose $theirs $container]
            foreach line [help_prose $ours $container] {
                if {$line in $taken_lines} { error "$container HELP: $line" }
            }
        }
    }

    test "A container lists its subcommands" {
        set info [lindex [$ours COMMAND INFO config] 0]
        assert_equal {config|get config|set} [lmap sub [lindex $info 9] {
            if {[lindex $sub 0] ni {config|get config|set}} { continue }
            lindex $sub 0
        }]
        assert {[dict exists [$ours COMMAND DOCS config] config subcommands config|get arguments]}
    }

    test "Arguments have a display_text, and groups have none" {
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

    test "COMMAND LIST filters by module, category and pattern" {
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

    test "COMMAND GETKEYS and GETKEYSANDFLAGS answer as those of Redis" {
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

    test "COMMAND answers unknown names and wrong numbers of arguments as Redis does" {
        foreach request {{INFO nosuch} {INFO nosuch get x|y} {INFO config|nosuch} {INFO |} {INFO config|} {INFO get|set}
                         {DOCS nosuch} {DOCS config|nosuch nosuch} {COUNT x} {HELP x} nosuch {INFO ""} {DOCS ""}} {
            same_everywhere $ours $theirs COMMAND {*}$request
        }
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
