# COMMAND describes each command as Redis does, and its subcommands answer as those of Redis. Only the prose of COMMAND
# DOCS and of HELP is our own.

set oracle [file join $root build oracle redis-server]
if {![file executable $oracle]} { set oracle /usr/bin/redis-server }

# --- What 7.2 changed against 7.0, which is asked here ------------------------------------------

set new_in_7_2 {client|no-touch client|setinfo waitaof}
set ours_alone {client|capa client|token waitoffset}

# Fields of COMMAND INFO and of COMMAND DOCS, and their words in 7.2; {} is a field that is not there. Of replaced_by
# and of the history only what is no prose is told.
array set changed_in_7_2 {
    command|getkeys {arity -3}
    command|getkeysandflags {arity -3}
    zrank {arity -3 history 7.2.0}
    zrevrank {arity -3 history 7.2.0}

    blmove {flags {blocking denyoom write}}
    blpop {flags {blocking write}}
    brpop {flags {blocking write}}
    brpoplpush {flags {blocking denyoom write}}
    bzpopmax {flags {blocking fast write}}
    bzpopmin {flags {blocking fast write}}

    client|setname {tips {request_policy:all_nodes response_policy:all_succeeded}}
    config|resetstat {tips {request_policy:all_nodes response_policy:all_succeeded}}
    config|rewrite {tips {request_policy:all_nodes response_policy:all_succeeded}}
    msetnx {tips {}}
    randomkey {tips {nondeterministic_output request_policy:all_shards response_policy:special}}
    scan {tips {nondeterministic_output request_policy:special response_policy:special}}

    client|list {history {2.8.12 5.0.0 6.0.0 6.2.0 7.0.0 7.0.3 7.2.0}}
    psetex {deprecated_since 2.6.12 doc_flags deprecated replaced_by {PX SET}}
    quit {deprecated_since 7.2.0 doc_flags deprecated replaced_by {}}
    setex {deprecated_since 2.6.12 doc_flags deprecated replaced_by {EX SET}}
    setnx {deprecated_since 2.6.12 doc_flags deprecated replaced_by {NX SET}}

    xinfo|consumers {history 7.2.0}
    xinfo|stream {history {6.0.0 7.0.0 7.2.0}}
}

# Groups of arguments that have another name in 7.2: the old and the new one.
array set renamed_in_7_2 {
    bitcount {index range index_unit unit}
    bitfield {encoding_offset get-block wrap_sat_fail overflow-block write_operation write-operation
        encoding_offset_value set-block encoding_offset_increment incrby-block}
    bitfield_ro {encoding_offset get-block}
    bitpos {index range end_index end-unit-block index_unit unit}
    client|reply {on_off_skip action}
    client|unblock {timeout_error unblock-type}
    config|set {parameter_value data}
    flushall {async flush-type}
    flushdb {async flush-type}
    function|flush {async flush-type}
    geoadd {longitude_latitude_member data}
    georadius_ro {count count-block}
    georadiusbymember_ro {count count-block}
    geosearch {longitude_latitude fromlonlat count count-block}
    geosearchstore {longitude_latitude fromlonlat count count-block}
    hello {username_password auth}
    hmset {field_value data}
    hset {field_value data}
    mset {key_value data}
    msetnx {key_value data}
    script|flush {async flush-type}
    shutdown {nosave_save save-selector}
    xreadgroup {group_consumer group-block}
    zadd {score_member data}
    zrange {offset_count limit}
    zrangebylex {offset_count limit}
    zrangebyscore {offset_count limit}
    zrangestore {offset_count limit}
    zrevrangebylex {offset_count limit}
    zrevrangebyscore {offset_count limit}
}

# Arguments that 7.2 arranged otherwise: all of them, in the notation of src/catalog/docs.h.
array set arranged_in_7_2 {
    bitop {operation:(AND | OR | XOR | NOT) destkey:key key:key#1...}
    client|kill {filter:(old-format<ip:port>:string!2.8.12 | new-format:([ID client-id:integer@2.8.12] |\
        [TYPE client-type:(NORMAL | MASTER@3.2.0 | SLAVE | REPLICA@5.0.0 | PUBSUB)@2.8.12] | [USER username] |\
        [ADDR addr<ip:port>:string] | [LADDR laddr<ip:port>:string@6.2.0] | [SKIPME skipme:(YES | NO)])...)}
    client|list {[TYPE client-type:(NORMAL | MASTER | REPLICA | PUBSUB)@5.0.0] [ID client-id:integer...@6.2.0]}
    command|getkeys {command [arg...]}
    command|getkeysandflags {command [arg...]}
    config|get parameter...
    geohash {key:key [member...]}
    geopos {key:key [member...]}
    georadius {key:key longitude:double latitude:double radius:double unit:(M | KM | FT | MI) [WITHCOORD] [WITHDIST]\
        [WITHHASH] [count-block:(COUNT count:integer [ANY@6.2.0])] [order:(ASC | DESC)]\
        [store:(STORE storekey<key>:key#1 | STOREDIST storedistkey<key>:key#2)]}
    georadiusbymember {key:key member radius:double unit:(M | KM | FT | MI) [WITHCOORD] [WITHDIST] [WITHHASH]\
        [count-block:(COUNT count:integer [ANY])] [order:(ASC | DESC)]\
        [store:(STORE storekey<key>:key#1 | STOREDIST storedistkey<key>:key#2)]}
    lcs {key1:key key2:key [LEN] [IDX] [MINMATCHLEN min-match-len:integer] [WITHMATCHLEN]}
    migrate {host port:integer key-selector:(key:key | empty-string='') destination-db:integer timeout:integer\
        [COPY@3.0.0] [REPLACE@3.0.0]\
        [authentication:(AUTH auth<password>@4.0.7 | AUTH2 auth2:(username password)@6.0.0)]\
        [KEYS keys<key>:key#1...@3.0.6]}
    pfmerge {destkey:key [sourcekey:key#1...]}
    psubscribe pattern:pattern...
    sort {key:key [BY by-pattern<pattern>:pattern#1] [LIMIT limit:(offset:integer count:integer)]\
        [GET get-pattern<pattern>:pattern#1]... [order:(ASC | DESC)] [sorting=ALPHA] [STORE destination:key#2]}
    sort_ro {key:key [BY by-pattern<pattern>:pattern#1] [LIMIT limit:(offset:integer count:integer)]\
        [GET get-pattern<pattern>:pattern#1]... [order:(ASC | DESC)] [sorting=ALPHA]}
    xadd {key:key [NOMKSTREAM@6.2.0] [trim:(strategy:(MAXLEN | MINID@6.2.0) [operator:(equal== | approximately=~)]\
        threshold [LIMIT count:integer@6.2.0])] id-selector:(auto-id=* | id) data:(field value)...}
    xclaim {key:key group consumer min-idle-time id... [IDLE ms:integer] [TIME unix-time-milliseconds:unix-time]\
        [RETRYCOUNT count:integer] [FORCE] [JUSTID] [LASTID lastid]}
    xgroup|create {key:key group id-selector:(id | new-id=$) [MKSTREAM]\
        [ENTRIESREAD entriesread<entries-read>:integer]}
    xgroup|createconsumer {key:key group consumer}
    xgroup|delconsumer {key:key group consumer}
    xgroup|destroy {key:key group}
    xgroup|setid {key:key group id-selector:(id | new-id=$) [ENTRIESREAD entriesread<entries-read>:integer]}
    xinfo|consumers {key:key group}
    xinfo|stream {key:key [full-block:(full=FULL [COUNT count:integer])]}
    xsetid {key:key last-id [ENTRIESADDED entries-added:integer@7.0.0] [MAXDELETEDID max-deleted-id@7.0.0]}
    zrank {key:key member [WITHSCORE]}
    zrevrank {key:key member [WITHSCORE]}
}

set info_fields {name arity flags first last step acl tips specs}

# The fields of COMMAND INFO and of COMMAND DOCS that are not compared with Redis 7.0.
proc changed_fields {name} {
    set fields {}
    if {[info exists ::changed_in_7_2($name)]} { set fields [dict keys $::changed_in_7_2($name)] }
    if {[info exists ::arranged_in_7_2($name)]} { lappend fields arguments }
    return $fields
}

# The words of a field, as $changed_in_7_2 has them.
proc field_words {c name field} {
    set at [lsearch -exact $::info_fields $field]
    if {$at >= 0} { return [lsort [lindex [$c COMMAND INFO $name] 0 $at]] }
    set docs [lindex [$c COMMAND DOCS $name] 1]
    if {![dict exists $docs $field]} { return "no $field" }
    set value [dict get $docs $field]
    if {$field eq "history"} { return [lmap change $value { lindex $change 0 }] }
    if {$field eq "replaced_by"} { return [lsort [regexp -all -inline {[A-Z]{2,}} $value]] }
    return $value
}

# A tagged tree of arguments with the names that they have in 7.2.
proc renamed {name value} {
    lassign $value type content
    if {![info exists ::renamed_in_7_2($name)] || $type ni {map array}} { return $value }
    if {$type eq "array"} { return [list array [lmap member $content { renamed $name $member }]] }
    set group [dict exists $content {bulk arguments}]
    set fields {}
    foreach {key field} $content {
        set old [lindex $field 1]
        if {$group && $key eq {bulk name} && [dict exists $::renamed_in_7_2($name) $old]} {
            set field [list bulk [dict get $::renamed_in_7_2($name) $old]]
        }
        lappend fields $key [renamed $name $field]
    }
    return [list map $fields]
}

# What utils/command-row makes of the arguments that our server tells.
proc usages_of {names} {
    set usages {}
    foreach line [split [exec env REDIS_SERVER=[server_binary] $::root/utils/command-row --syntax {*}$names] \n] {
        regexp {^(\S+) ?(.*)$} $line - name usage
        dict set usages $name $usage
    }
    return $usages
}

# --- How rows are compared ----------------------------------------------------------------------

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

# A tagged RESP3 value without prose, without the display_text of arguments, which only 7.2 has, without subcommands,
# which are compared by themselves, and without the fields of the list.
proc comparable {value {left_out {}}} {
    lassign $value type content
    if {$type ni {map array set}} { return $value }
    set kept {}
    if {$type eq "map"} {
        foreach {name field} $content {
            if {[lindex $name 1] in {display_text subcommands} || [lindex $name 1] in $left_out} { continue }
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
    set changed [changed_fields $name]
    return [list array [lmap member [lrange [lindex $reply 1] 0 8] field $::info_fields {
        if {$field in $changed} { continue }
        comparable $member
    }]]
}

proc docs_of {c name} {
    lassign [lindex [$c COMMAND DOCS $name] 1] title docs
    return [list $title [comparable $docs [changed_fields $name]]]
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
            if {$name in $new_in_7_2 || $name in $ours_alone} { continue }
            set expected [info_of $theirs $name]
            set actual [info_of $ours $name]
            if {$expected ne $actual} { lappend wrong "$name\n  ours:   $actual\n  theirs: $expected" }
        }
        if {[info exists wrong]} { error [join $wrong \n] }
    }

    test "COMMAND DOCS of each command equals that of Redis, except the prose" {
        foreach name $names {
            if {$name in $new_in_7_2 || $name in $ours_alone} { continue }
            lassign [docs_of $theirs $name] title docs
            set expected [list $title [renamed $name $docs]]
            set actual [docs_of $ours $name]
            if {$expected ne $actual} { lappend wrong "$name\n  ours:   $actual\n  theirs: $expected" }
        }
        if {[info exists wrong]} { error [join $wrong \n] }
    }

    foreach c [list $ours $theirs] { $c -tagged 0 }

    test "What 7.2 changed is as in 7.2, and was otherwise in 7.0" {
        foreach {name fields} [array get changed_in_7_2] {
            dict for {field expected} $fields {
                assert_equal "$name $field $expected" "$name $field [field_words $ours $name $field]"
                assert {[field_words $theirs $name $field] ne $expected}
            }
        }
        set usages [usages_of [array names arranged_in_7_2]]
        foreach {name usage} [array get arranged_in_7_2] {
            assert_equal "$name [regsub -all {\s+} $usage { }]" "$name [dict get $usages $name]"
        }
    }

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
            if {$container in {COMMAND CONFIG MEMORY OBJECT PUBSUB}} {
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
            {RENAME a b} {RENAME a} {DEL a b} {EXISTS a a} {OBJECT ENCODING k} {OBJECT x k} {OBJECT ENCODING}
            {EXPIRE k 1} {TTL k} {TYPE k} {PING x} {ECHO x} {NOSUCH x} {CONFIG GET a} {CONFIG SET a b} {CONFIG x}
            {SCAN 0} {KEYS *} {MOVE k 1} {TOUCH a} {UNLINK a b} {PERSIST k} {INCRBYFLOAT k 1} {SETRANGE k 0 v}
            {SUBSTR k 0 1} {SPUBLISH c m} {SSUBSCRIBE a b} {SUNSUBSCRIBE a} {PUBLISH c m} {ZUNIONSTORE d 0 a}
            {ZUNIONSTORE d 2 a} {ZUNIONSTORE d 2 a b} {ZUNION 0 a} {LMPOP 0 a LEFT} {LMPOP 3 a LEFT}
            {BZMPOP 0 0 a MIN} {SINTERCARD 0 a} {MIGRATE h 1 k 0 10} {MIGRATE h 1 k 0 10 KEYS a}
            {MIGRATE h 1 k 0 10 COPY KEYS a b} {MIGRATE h 1 {} 0 10 KEYS} {MIGRATE h 1 {} 0 10 KEYS a}
            {MIGRATE h 1 {} 0 10 AUTH KEYS KEYS a} {MIGRATE h 1 k 0 10 AUTH KEYS} {}
        } {
            same_everywhere $ours $theirs COMMAND GETKEYS {*}$request
            same_everywhere $ours $theirs COMMAND GETKEYSANDFLAGS {*}$request
        }
    }

    test "COMMAND GETKEYS takes a command without arguments, as 7.2 does" {
        foreach {request error} {
            PING "ERR The command has no key arguments"
            OBJECT "ERR The command has no key arguments"
            CONFIG "ERR The command has no key arguments"
            SUNSUBSCRIBE "ERR The command has no key arguments"
            RANDOMKEY "ERR The command has no key arguments"
            GET "ERR Invalid number of arguments specified for command"
            SORT "ERR Invalid number of arguments specified for command"
            NOSUCH "ERR Invalid command specified"
        } {
            assert_error $error { $ours COMMAND GETKEYS $request }
            assert_error $error { $ours COMMAND GETKEYSANDFLAGS $request }
        }
    }

    test "COMMAND answers unknown names and wrong numbers of arguments as Redis does" {
        foreach request {{INFO nosuch} {INFO nosuch get x|y} {INFO config|nosuch} {INFO |} {INFO config|} {INFO get|set}
                         {DOCS nosuch} {DOCS config|nosuch nosuch} {COUNT x} {HELP x} nosuch {INFO ""} {DOCS ""}} {
            same_everywhere $ours $theirs COMMAND {*}$request
        }
    }

    test "README names the commands that Redis has and we lack" {
        set file [open [file join $root README.md]]
        set readme [read $file]
        close $file
        regexp {Not there yet.*?\n\n} $readme missing
        foreach name [concat [$theirs COMMAND LIST] waitaof] {
            if {$name in $names || [string match *|* $name]} { continue }
            set group [expr {$name eq "waitaof" ? "generic" : [dict get [lindex [$theirs COMMAND DOCS $name] 1] group]}]
            set word [string toupper $name]
            if {$group eq "stream"} { set word streams }
            if {$group eq "scripting"} { set word "scripts and functions" }
            if {[string first $word $missing] < 0} { error "README does not say that $name is missing" }
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
