list:
%{ if on ~}
  on \n "q" $${x}
%{ endif ~}
%{ for x in list ~}
 - ${x}
%{ endfor ~}
end
