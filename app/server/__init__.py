"""The event loop in front of gunicorn's threads: no connection holds a thread before its request is
complete, nor while its client does not read the answer.

    loop         accepts, reads, hands whole requests to the threads, sends, ends what is too slow
    connections  one client: what arrived of its request, and the parser gunicorn's worker sees
    framing      where a head and a chunked body end
    answers      what a thread writes: sent at once, the rest kept for the loop to send
    limits       the deadlines, and how much is kept for whom

gunicorn's parser reads every head and every body; nothing here interprets a header of its own.
"""
