# The configuration file, standard input and the command line; CONFIG REWRITE.

proc config {name} { return [lindex [r CONFIG GET $name] 1] }

proc write_file {path text} {
    set file [open $path wb]
    puts -nonewline $file $text
    close $file
}

proc read_whole {path} {
    set file [open $path rb]
    set text [read $file]
    close $file
    return $text
}

# Runs the server with these words and this standard input until it ends by itself. Returns {exit status, output}.
proc run_to_end {input args} {
    set status 0
    if {[catch {exec {*}[list timeout 10 [server_binary]] {*}$args << $input 2>@1} output options]} {
        set code [dict get $options -errorcode]
        set status [expr {[lindex $code 0] eq "CHILDSTATUS" ? [lindex $code 2] : $code}]
    }
    return [list $status $output]
}

# Runs the body with a server whose configuration file has this text.
proc with_file {text directives body} {
    set folder [string trim [exec mktemp -d]]
    write_file $folder/server.conf $text
    set h [server_start $directives -folder $folder -file server.conf]
    lappend server::stack $h
    set code [catch {uplevel 1 $body} result options]
    set server::stack [lrange $server::stack 0 end-1]
    server_stop $h
    server_forget $h
    if {$code} { return -options $options $result }
}

if {[attached]} return

test "A file may have quotes, escapes, units, comments and blank lines" {
    set text "# a comment\n\n  \t hz\t20  \r\nrequirepass \"a \\x62\\t\\\"\"\nMaxMemory 2gb\nsyslog-ident 'it\\'s'"
    with_file $text {} {
        assert_error "NOAUTH*" { r PING }
        r AUTH "a b\t\""
        assert_equal {20 2147483648 it's} [list [config hz] [config maxmemory] [config syslog-ident]]
    }
}

test "Later lines overrule earlier ones, save lines add up, and the command line comes last" {
    with_file "hz 20\nhz 30\ntimeout 5\nsave 100 1\nsave 200 2 300 3\n" {save {400 4} timeout 7} {
        assert_equal {30 7} [list [config hz] [config timeout]]
        assert_equal {100 1 200 2 300 3 400 4} [config save]
    }
    with_file "save 100 1\nsave \"\"\nsave 5 6\n" {save {7 8 9 10}} { assert_equal {5 6 7 8 9 10} [config save] }
    with_file "save 100 1\n" {} { assert_equal {} [config save] }
}

test "include takes patterns and nests" {
    set folder [string trim [exec mktemp -d]]
    write_file $folder/1.inc "hz 41\n"
    write_file $folder/2.inc "hz 42\ninclude $folder/deep\n"
    write_file $folder/deep "timeout 9"
    with_file "hz 1\ninclude $folder/*.inc\ninclude $folder/none*\n" {} {
        assert_equal {42 9} [list [config hz] [config timeout]]
    }
    write_file $folder/loop "include $folder/loop\n"
    lassign [run_to_end "" $folder/loop] status output
    assert_equal 1 $status
    assert_match "*too many levels of include*" $output
    file delete -force $folder
}

test "A bad line is named with its number and the reason, and the exit status is 1" {
    foreach {text line reason} {
        "foo bar\n"                     1 "Bad directive or wrong number of arguments"
        "# x\n\nport\n"                 3 "wrong number of arguments"
        "port 1 2\n"                    1 "wrong number of arguments"
        "hz 10\nport abc\n"             2 "argument couldn't be parsed into an integer"
        "port 99999\n"                  1 "argument must be between 0 and 65535 inclusive"
        "hz 10 \"x\n"                   1 "Unbalanced quotes in configuration line"
        "hz \"10\"x\n"                  1 "Unbalanced quotes in configuration line"
        "user\n"                        1 "Bad directive or wrong number of arguments"
        "rename-command a\n"            1 "Bad directive or wrong number of arguments"
        "save 1 x\n"                    1 "Invalid save parameters"
        "maxmemory 5x\n"                1 "argument must be a memory value"
        "maxmemory -1\n"                1 "argument must be a memory value"
        "maxmemory 10%\n"               1 "argument must be a memory value"
        "maxmemory-clients 101%\n"      1 "percentage argument must be less or equal to 100"
        "maxmemory-samples 0\n"         1 "argument must be between 1 and 2147483647 inclusive"
        "maxmemory-samples 2147483648\n" 1 "argument must be between 1 and 2147483647 inclusive"
        "maxmemory-eviction-tenacity 101\n" 1 "argument must be between 0 and 100 inclusive"
        "maxmemory-policy lru\n"        1 "argument(s) must be one of the following: *"
        "unixsocketperm 9\n"            1 "argument couldn't be parsed as an octal number"
        "sentinel monitor x\n"          1 "sentinel directive while not in sentinel mode"
        "dir /nonexistent\n"            1 "No such file or directory"
    } {
        lassign [run_to_end $text -] status output
        assert_equal 1 $status
        set wanted [string trimright [lindex [split $text \n] $line-1]]
        set head "\\*\\*\\* FATAL CONFIG FILE ERROR (Redis 7.2.6) \\*\\*\\*"
        assert_match "*$head\nReading the configuration file, at line $line\n>>> '*'\n$reason*" $output
        assert {[string first ">>> '$wanted'" $output] >= 0}
    }
    lassign [run_to_end "" --foo bar] status output
    assert_equal 1 $status
    assert_match "*at line 2\n>>> 'foo \"bar\"'\nBad directive*" $output
}

test "The server exits with 1 if it cannot open the configuration file or the log" {
    lassign [run_to_end "" /nonexistent.conf] status output
    assert_equal 1 $status
    assert_match "*Fatal error, can't open config file '/nonexistent.conf': No such file or directory*" $output
    lassign [run_to_end "logfile /nonexistent/log\n" -] status output
    assert_equal 1 $status
    assert_match "*Can't open the log file: No such file or directory*" $output
}

test "--version and --help print their text, and --test-memory is refused" {
    lassign [run_to_end "" --version] status output
    assert_equal 0 $status
    assert_match "kura, as Redis server v=7.2.6 sha=00000000:0 malloc=* bits=64 build=kura-*" $output
    assert_equal $output [lindex [run_to_end "" -v] 1]
    assert_match "*kura-server - (read config from stdin)*" [lindex [run_to_end "" --help] 1]
    assert_equal 1 [lindex [run_to_end "" --test-memory 10] 0]
}

test "The configuration file that comes with kura loads without a warning" {
    with_file [read_whole $root/redis-compat.conf] {bind 127.0.0.1 enable-debug-command no} {
        assert_equal 0 [regexp -all {WARNING: the (option|directive)} [server_log]]
        assert_equal {10000 16} [list [config maxclients] [config databases]]
    }
}

set refused "this version of kura cannot do what the directive asks for, and to ignore it would leave the server open\
    or lose data"

test "A directive that protects is refused with its file and line while kura cannot obey it" {
    set folder [string trim [exec mktemp -d]]
    foreach line {
        "user default off" "user default on >secret ~* &* +@all" "user default on nopass ~app:* &* +@all"
        "user alice on nopass ~* +@all" "aclfile /x.acl" {rename-command FLUSHALL ""} "loadmodule /x.so" "tls-port 6380"
        "tls-cert-file /x.crt" "tls-replication yes" "cluster-enabled yes"
    } {
        write_file $folder/bad.conf "hz 20\n$line\nhz 30\n"
        write_file $folder/outer.conf "timeout 0\n\n\ninclude $folder/bad.conf\n"
        foreach file {bad.conf outer.conf} {
            lassign [run_to_end "" $folder/$file] status output
            assert_equal 1 $status
            assert_match "*at line 2\n>>> '$line'\n$refused\nThe line is in $folder/bad.conf*" $output
        }
    }
    lassign [run_to_end "" --tls-port 6380] status output
    assert_equal 1 $status
    assert_equal {1 0} [list [string match "*$refused*" $output] [string match "*The line is in*" $output]]
    file delete -force $folder
}

test "A directive that protects may ask for what kura does anyway" {
    with_file "user default on nopass sanitize-payload ~* &* +@all\naclfile \"\"\ntls-port 0\n
        cluster-enabled no\ntls-replication no\n" {} {
        assert_equal 0 [regexp WARNING: [server_log]]
        assert_error "ERR CONFIG SET failed (possibly related to argument 'tls-replication') - $refused" {
            r CONFIG SET hz 50 tls-replication yes
        }
        assert_equal {10 no} [list [config hz] [config tls-replication]]
        assert_error "ERR CONFIG SET failed * - $refused" { r CONFIG SET tls-port 6380 }
        assert_equal OK [r CONFIG SET tls-replication no]
    }
}

test "A directive that kura lacks is named in the log once, and one that asks for nothing new is not" {
    with_file "slowlog-log-slower-than 30\nactiverehashing no\nio-threads 4\nslowlog-max-len 128\n" {} {
        proc told {directive} { list [regexp -all {has no effect} [server_log]] [regexp '$directive' [server_log]] }
        assert_equal {1 1} [told slowlog-log-slower-than]
        r CONFIG SET slowlog-log-slower-than 20
        r CONFIG SET latency-monitor-threshold 5
        r CONFIG SET lazyfree-lazy-user-del yes
        assert_equal {2 1} [told latency-monitor-threshold]
    }
}

test "CONFIG REWRITE keeps the text of the owner, replaces values in place and appends the rest" {
    set text "# first\nhz 20\n\n  # indented\nmaxmemory 1gb\nsave 1 2\nslave-priority 5\nuser default on ~*\n"
    append text "client-output-buffer-limit normal 1 2 3\nsave 3 4\n# last"
    with_file $text {} {
        r CONFIG SET hz 50 timeout 7 maxmemory 104857600 save "9 9" requirepass "a \"b\""
        assert_equal OK [r CONFIG REWRITE]
        set first [read_whole [server_folder]/server.conf]
        set kept "# first\nhz 50\n\n  # indented\nmaxmemory 100mb\nsave 9 9\nreplica-priority 5\nuser default on ~*\n"
        append kept "client-output-buffer-limit normal 1 2 3\n# last\n"
        assert_match "$kept\n# Generated by CONFIG REWRITE\n*" $first
        assert_match "*\ntimeout 7\n*" $first
        assert_match "*\nrequirepass \"a \\\\\"b\\\\\"\"\n*" $first
        assert {![regexp -line {^(databases|tcp-backlog|hash-max-listpack-entries) } $first]}
        assert_equal OK [r CONFIG REWRITE]
        assert_equal $first [read_whole [server_folder]/server.conf]
        r CONFIG SET save "" timeout 0
        r CONFIG REWRITE
        set second [read_whole [server_folder]/server.conf]
        assert_match "*\nsave \"\"\n*\ntimeout 0\n*" $second
        assert_equal {} [glob -nocomplain [server_folder]/server.conf.*]
        assert_match "*CONFIG REWRITE executed with success.*" [server_log]
    }
}

test "A rewritten file has the same meaning" {
    set set_to {hz 33 notify-keyspace-events KEA maxmemory-clients 5% save {5 6 7 8} proc-title-template {{title} x}
        client-output-buffer-limit {normal 0 0 0 slave 1 2 3 pubsub 4 5 6} oom-score-adj-values {1 2 3} maxmemory 12345
        tracking-table-max-keys 7}
    set folder [string trim [exec mktemp -d]]
    write_file $folder/server.conf ""
    set h [server_start {} -folder $folder -file server.conf]
    set c [client $h]
    $c CONFIG SET {*}$set_to
    set before [$c CONFIG GET *]
    $c CONFIG REWRITE
    set port [server_port $h]
    $c -close
    server_stop $h
    set h [server_start [list port $port save {}] -folder $folder -file server.conf]
    # The --save of the harness comes behind the file.
    set c [client $h]
    set after [$c CONFIG GET *]
    dict for {name value} [dict remove $before save] {
        assert_equal "$name $value" "$name [dict get $after $name]"
    }
    $c -close
    server_stop $h
    server_forget $h
}

with_server {} {
    test "CONFIG REWRITE fails without a file, and with one that cannot be written" {
        assert_error "ERR The server is running without a config file" { r CONFIG REWRITE }
    }
}
