"""The HTTP interface: who may ask (auth, rate), what is asked (parameters), from which store it is answered (answers), how it is said (http).

It reads what the sinks wrote and never Kafka or Faust, so it stays up while workers rebalance.
"""
