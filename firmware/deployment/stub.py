import ulnn_boot  # `ulnn deploy` puts this file in lib as ulnn, ulnn_stream and ulnn_rules

ulnn_boot.enter(__name__, globals())
